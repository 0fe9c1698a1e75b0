// The visitor's avatars. The server sets `listing`; what is asked for goes back as `value`:
// {kind: "use" | "delete", name, n}, where n makes each wish a new one.
(() => {
  const { t, h, age } = studio;

  class Avatars {
    #doomed = null; // name of the one whose deletion is to be confirmed
    #count = 0;

    constructor(element, props, trigger) {
      this.props = props;
      this.trigger = trigger;
      this.said = h("p", { class: "avatars-said", role: "status" });
      this.troubles = h("ul", { class: "avatars-troubles", role: "alert" });
      this.cards = h("ul", { class: "avatars-list", role: "list", "aria-label": t("avatars.list") });
      this.empty = h("div", { class: "avatars-empty", tabindex: -1 },
        h("p", { class: "avatars-lead" }, t("avatars.empty-title")), h("p", {}, t("avatars.empty")));
      this.kept = h("p", { class: "avatars-kept" });
      this.root = h("section", { class: "avatars" }, this.said, this.troubles, this.cards, this.empty, this.kept);
      this.root.addEventListener("keydown", (event) => {
        if (event.key === "Escape" && this.#doomed !== null) this.#spare();
      });
      element.append(this.root);
    }

    // A new listing: what is about to be deleted stays so where it is still there.
    show() {
      const listing = this.props.listing;
      this.root.hidden = !listing;
      if (!listing) return;
      if (!listing.avatars.some(({ name }) => name === this.#doomed)) this.#doomed = null;
      this.kept.textContent = listing.kept;
      this.said.textContent = listing.said;
      this.troubles.replaceChildren(...listing.troubles.map((trouble) => h("li", {}, trouble)));
      this.#draw();
    }

    #draw() {
      const { avatars } = this.props.listing;
      const held = this.#focused();
      this.cards.replaceChildren(...avatars.map((avatar) => this.#card(avatar)));
      this.cards.hidden = avatars.length === 0;
      this.empty.hidden = avatars.length > 0;
      if (held) this.#focus(held);
    }

    #card(avatar) {
      const { name, thumbnail, facts, created, size } = avatar;
      const text = h("div", { class: "avatars-text" },
        h("h2", { class: "avatars-name", title: name }, name),
        h("p", { class: "avatars-facts" }, facts), h("p", { class: "avatars-facts" }, age(created), ` · ${size}`));
      const picture = h("div", { class: "avatars-picture" });
      if (thumbnail) picture.append(h("img", { src: thumbnail, alt: "" }));
      const actions = name === this.#doomed ? this.#question(avatar) : this.#actions(avatar);
      return h("li", { class: "avatars-card", "data-name": name, tabindex: -1 }, picture, text, actions);
    }

    #actions(avatar) {
      const button = (act, run) => h("button", {
        type: "button", class: `avatars-${act}`, "data-act": act, "aria-label": t(`avatars.${act}-named`, avatar), onclick: run,
      }, t(`avatars.${act}`));
      return h("div", { class: "avatars-actions" },
        button("use", () => this.#ask("use", avatar)), button("delete", () => this.#doom(avatar)));
    }

    #question(avatar) {
      const answer = (act, run) => h("button", { type: "button", class: `avatars-${act}`, "data-act": act, onclick: run },
        t(`avatars.sure-${act}`));
      return h("div", { class: "avatars-actions", role: "group", "aria-label": t("avatars.delete-named", avatar) },
        h("span", { class: "avatars-sure" }, t("avatars.sure", avatar)),
        answer("yes", () => this.#ask("delete", avatar)), answer("no", () => this.#spare()));
    }

    #doom({ name }) {
      this.#doomed = name;
      this.#draw();
      this.#focus({ name, act: "no" });
    }

    #spare() {
      const name = this.#doomed;
      this.#doomed = null;
      this.#draw();
      this.#focus({ name, act: "delete" });
    }

    #ask(kind, { name }) {
      this.#doomed = null; // answered: the list that comes back asks no more
      this.#count += 1;
      this.props.value = { kind, name, n: this.#count };
      this.trigger("input");
    }

    // Where the keyboard is: a button of a card, and the card's place for when it is gone.
    #focused() {
      const card = document.activeElement?.closest(".avatars-card");
      if (!card || !this.cards.contains(card)) return null;
      const place = [...this.cards.children].indexOf(card);
      return { name: card.dataset.name, act: document.activeElement.dataset.act, place };
    }

    #focus({ name, act, place }) {
      const cards = [...this.cards.children];
      const card = cards.find((one) => one.dataset.name === name);
      const target = card?.querySelector(`[data-act="${act}"]`) ?? card ?? cards[place] ?? cards.at(-1) ?? this.empty;
      target.focus();
    }
  }

  studio.widgets.avatars = (element, props, trigger, watch) => {
    const avatars = new Avatars(element, props, trigger);
    avatars.show();
    watch("listing", () => avatars.show());
  };
})();
