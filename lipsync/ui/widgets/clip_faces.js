// The faces found in the clip, one of them or anyone to be chosen: radio buttons with pictures.
(() => {
  const { t, h, clock } = studio;

  class ClipFaces {
    #chosen = null; // null = anyone, -1 = somebody who is not listed

    constructor(choose) {
      this.choose = choose;
      this.list = h("div", { class: "clip-faces", role: "radiogroup", "aria-label": t("clip.faces") });
      this.list.addEventListener("keydown", (event) => this.#press(event));
      this.hint = h("p", { class: "clip-hint" }, t("clip.pick"));
      this.root = h("div", { hidden: true }, this.list, this.hint);
    }

    // Buttons of faces that stay keep their place and the keyboard's focus.
    setFaces(faces) {
      this.root.hidden = !faces.length;
      this.hint.hidden = faces.length < 2;
      const buttons = [...this.list.children];
      if (!buttons.length) {
        buttons.push(this.#button(null, h("span", {}, t("clip.anyone")), t("clip.anyone-help")));
      }
      faces.forEach((face, index) => {
        const label = t("clip.face", { number: index + 1, time: clock(face.seconds) });
        const known = buttons[index + 1];
        if (!known) {
          const picture = h("img", { src: face.picture, alt: "", width: 44, height: 44 });
          buttons.push(this.#button(index, picture, label));
          return;
        }
        known.firstChild.src = face.picture;
        known.title = label;
        known.ariaLabel = label;
      });
      const shown = buttons.slice(0, faces.length + 1);
      for (const gone of buttons.slice(faces.length + 1)) gone.remove();
      for (const button of shown) if (!button.parentNode) this.list.append(button);
      this.setChosen(this.#chosen);
    }

    setChosen(face) {
      this.#chosen = face;
      const buttons = [...this.list.children];
      buttons.forEach((button, index) => {
        const checked = index === (face === null ? 0 : face + 1) && face !== -1;
        button.setAttribute("aria-checked", String(checked));
        button.tabIndex = checked || (face === -1 && index === 0) ? 0 : -1;
      });
    }

    #button(face, content, label) {
      const button = h("button", { type: "button", role: "radio", class: "clip-face" }, content);
      button.title = label;
      if (face !== null) button.ariaLabel = label;
      button.addEventListener("click", () => this.choose(face));
      return button;
    }

    #press(event) {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const buttons = [...this.list.children];
      const place = buttons.indexOf(document.activeElement);
      const next = (place + step + buttons.length) % buttons.length;
      buttons[next].focus();
      this.choose(next === 0 ? null : next - 1);
    }
  }

  studio.ClipFaces = ClipFaces;
})();
