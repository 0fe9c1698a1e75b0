// What the visitor made before. The server sets `listing`; what is asked for goes back as `value`:
// {kind: "show" | "again" | "delete" | "compare", ids, n}, where n makes each wish a new one.
(() => {
  const { t, h, clock, age } = studio;

  class History {
    #chosen = []; // ids to compare, A first
    #doomed = null; // id whose deletion is to be confirmed
    #count = 0;

    constructor(element, props, trigger) {
      this.props = props;
      this.trigger = trigger;
      this.kept = h("p", { class: "history-kept" });
      this.worth = h("p", { class: "history-kept" }, t("score.proxy"));
      this.said = h("p", { class: "history-said", role: "status" });
      this.trouble = h("p", { class: "history-trouble", role: "alert" });
      this.hint = h("p", { role: "status" });
      this.compare = h("button", { type: "button", class: "history-main", onclick: () => this.#ask("compare", [...this.#chosen]) },
        t("history.compare-go"));
      this.bar = h("div", { class: "history-bar" }, this.hint, this.compare,
        h("button", { type: "button", onclick: () => this.#chooseNone() }, t("history.compare-none")));
      this.cards = h("ul", { class: "history-list", role: "list", "aria-label": t("history.list") });
      this.empty = h("div", { class: "history-empty", tabindex: -1 },
        h("p", { class: "history-lead" }, t("history.empty-title")), h("p", {}, t("history.empty")));
      this.root = h("section", { class: "history" },
        this.kept, this.worth, this.said, this.trouble, this.bar, this.cards, this.empty);
      this.root.addEventListener("keydown", (event) => {
        if (event.key === "Escape" && this.#doomed) this.#spare();
      });
      element.append(this.root);
    }

    // A new listing: what is chosen or about to be deleted stays so where it is still there.
    show() {
      const listing = this.props.listing;
      this.root.hidden = !listing;
      if (!listing) return;
      const there = new Set(listing.entries.map((entry) => entry.id));
      this.#chosen = this.#chosen.filter((id) => there.has(id));
      if (!there.has(this.#doomed)) this.#doomed = null;
      this.kept.textContent = t("history.kept", listing);
      this.said.textContent = listing.said ?? "";
      this.trouble.textContent = listing.trouble ?? "";
      this.#draw();
    }

    #draw() {
      const entries = this.props.listing.entries;
      const held = this.#focused();
      this.cards.replaceChildren(...entries.map((entry) => this.#card(entry)));
      this.cards.hidden = entries.length === 0;
      this.empty.hidden = entries.length > 0;
      this.worth.hidden = entries.every((entry) => entry.score === null);
      this.#drawBar();
      if (held) this.#focus(held);
    }

    #drawBar() {
      const full = this.#chosen.length === 2;
      this.bar.hidden = this.#chosen.length === 0;
      this.compare.disabled = !full;
      this.hint.textContent = t(full ? "history.chosen-two" : "history.chosen-one");
    }

    #card(entry) {
      const place = this.#chosen.indexOf(entry.id);
      const picture = h("div", { class: "history-picture" },
        h("img", { src: entry.thumbnail, alt: "", loading: "lazy" }));
      if (place >= 0) picture.append(h("span", { class: "history-mark", "aria-hidden": true }, "AB"[place]));
      const facts = t(entry.is_part ? "history.facts-part" : "history.facts",
        { preset: entry.preset, length: clock(entry.seconds) });
      const text = h("div", { class: "history-text" },
        h("h2", { class: "history-name", title: entry.name }, entry.name),
        h("p", { class: "history-facts" }, `${facts} · `, age(entry.created)),
        this.#score(entry),
        ...(entry.repaired ? [h("p", { class: "history-facts" }, entry.repaired)] : []));
      const actions = this.#doomed === entry.id ? this.#question(entry) : this.#actions(entry, place);
      return h("li", { class: "history-card", "data-id": entry.id, tabindex: -1 }, picture, text, actions);
    }

    #score({ score, judge, verdict }) {
      if (score === null) return h("p", { class: "history-score history-none" }, t("history.no-score"));
      return h("p", { class: "history-score" },
        h("span", { class: "history-hidden" }, `${t("history.score")} `), h("b", {}, score), ` ${verdict}`,
        this.#isMixed() ? ` · ${judge}` : ""); // numbers of two judges are on two scales
    }

    #isMixed() {
      const scored = this.props.listing.entries.filter((entry) => entry.score !== null);
      return new Set(scored.map((entry) => entry.judge)).size > 1;
    }

    #actions(entry, place) {
      const { id } = entry;
      const named = (key) => ({ "data-act": key, "aria-label": t(`history.${key}-named`, entry) });
      const button = (key, act, more = {}) => {
        return h("button", { type: "button", onclick: act, ...named(key), ...more }, t(`history.${key}`));
      };
      return h("div", { class: "history-actions" },
        button("show", () => this.#ask("show", [id]), { class: "history-show" }),
        button("again", () => this.#ask("again", [id])),
        h("a", { href: entry.result, download: entry.file, ...named("download") }, t("history.download")),
        button("compare", () => this.#choose(id), {
          "aria-pressed": String(place >= 0), disabled: place < 0 && this.#chosen.length === 2 }),
        button("delete", () => this.#doom(id)));
    }

    #question(entry) {
      const remove = () => this.#ask("delete", [entry.id]);
      return h("div", { class: "history-actions history-sure", role: "group", "aria-label": t("history.delete-named", entry) },
        h("span", {}, t("history.sure")),
        h("button", { type: "button", class: "history-yes", onclick: remove, "data-act": "yes" }, t("history.sure-yes")),
        h("button", { type: "button", onclick: () => this.#spare(), "data-act": "no" }, t("history.sure-no")));
    }

    #doom(id) {
      this.#doomed = id;
      this.#draw();
      this.#focus({ id, act: "no" });
    }

    #spare() {
      const id = this.#doomed;
      this.#doomed = null;
      this.#draw();
      this.#focus({ id, act: "delete" });
    }

    #choose(id) {
      if (this.#chosen.includes(id)) this.#chosen = this.#chosen.filter((one) => one !== id);
      else this.#chosen.push(id);
      this.#draw();
    }

    #chooseNone() {
      const id = this.#chosen.at(-1);
      this.#chosen = [];
      this.#draw();
      this.#focus({ id, act: "compare" }); // the button that was pressed is gone
    }

    #ask(kind, ids) {
      this.#count += 1;
      this.props.value = { kind, ids, n: this.#count };
      this.trigger("input");
    }

    // Where the keyboard is: a button of a card, and the card's place for when it is gone.
    #focused() {
      const card = document.activeElement?.closest(".history-card");
      if (!card || !this.cards.contains(card)) return null;
      const place = [...this.cards.children].indexOf(card);
      return { id: card.dataset.id, act: document.activeElement.dataset.act, place };
    }

    #focus({ id, act, place }) {
      const cards = [...this.cards.children];
      const card = cards.find((one) => one.dataset.id === id);
      const target = card?.querySelector(`[data-act="${act}"]`) ?? card ?? cards[place] ?? cards.at(-1) ?? this.empty;
      target.focus();
    }
  }

  studio.widgets.history = (element, props, trigger, watch) => {
    const history = new History(element, props, trigger);
    history.show();
    watch("listing", () => history.show());
  };
})();
