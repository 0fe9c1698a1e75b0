// The clip's timeline: where the face is found, the cuts, where the player stands, the part to use.
(() => {
  const { t, h, clock } = studio;
  const STRETCH = 0.1; // seconds, the least that can be used
  const KINDS = ["found", "turned", "lost"];
  const SPANS_TOLD = 12; // more than this is no help to anybody who listens

  const round = (seconds) => Math.round(seconds * 100) / 100;

  class ClipStrip {
    #duration = 0;
    #step = 0.04;
    #time = 0;
    #start = 0;
    #end = 0;

    // acts: seek(seconds, done), trim(start, end, done) with null for the clip's own, play()
    constructor(acts) {
      this.acts = acts;
      this.spans = h("div", { class: "clip-spans" });
      this.before = h("i", { class: "clip-cutoff" });
      this.after = h("i", { class: "clip-cutoff" });
      this.sliders = {};
      for (const [name, key] of [["start", "start"], ["end", "end"], ["time", "position"]]) {
        this.sliders[name] = this.#slider(name, t(`clip.${key}`));
      }
      this.track = h("div", { class: "clip-track", role: "group", "aria-label": t("clip.timeline") });
      this.track.append(this.spans, this.before, this.after, ...Object.values(this.sliders));
      this.track.addEventListener("pointerdown", (event) => this.#grab(event));
      this.button = h("button", { type: "button", class: "clip-play", onclick: () => acts.play() });
      this.told = h("p", { class: "clip-told" });
      this.legend = h("p", { class: "clip-legend", "aria-hidden": "true" });
      this.progress = h("p", { class: "clip-progress" });
      this.clock = h("output", { class: "clip-clock", "aria-hidden": "true" });
      this.root = h("div", { class: "clip-strip", hidden: true });
      this.root.append(
        h("div", { class: "clip-line clip-time" }, this.button, this.track, this.clock),
        this.told,
        h("div", { class: "clip-line clip-below" }, this.legend, this.progress, this.#fields()),
      );
      this.setPlaying(false);
    }

    setClip(duration, step) {
      this.#duration = duration;
      this.#step = step;
      for (const field of [this.from, this.to]) field.max = String(round(duration));
      this.setTrim(null, null);
      this.setTime(0);
    }

    setScan(scan) {
      const spans = scan ? scan.spans : [];
      const cuts = scan ? scan.cuts : [];
      const known = spans.length ? spans[spans.length - 1][1] : 0;
      const parts = spans.map(([start, end, kind]) => this.#part(`clip-${kind}`, start, end));
      if (known < this.#duration - 0.01) {
        parts.push(this.#part("clip-unknown", known, this.#duration));
      }
      for (const cut of cuts) parts.push(this.#part("clip-cut", cut, cut));
      this.spans.replaceChildren(...parts);
      const kinds = KINDS.filter((kind) => spans.some((span) => span[2] === kind));
      if (cuts.length) kinds.push("cut");
      this.legend.replaceChildren(...kinds.map((kind) => this.#key(kind)));
      const isDone = scan && scan.share >= 1;
      this.told.textContent = isDone ? this.#tell(spans, cuts) : "";
      const percent = Math.floor(100 * (scan ? scan.share : 0));
      this.progress.textContent = isDone ? "" : t("clip.looking", { percent });
    }

    setTrim(start, end) {
      this.#start = start ?? 0;
      this.#end = end ?? this.#duration;
      this.#place("start", this.#start);
      this.#place("end", this.#end);
      this.before.style.width = this.#percent(this.#start);
      this.after.style.left = this.#percent(this.#end);
      for (const [field, value] of [[this.from, this.#start], [this.to, this.#end]]) {
        if (document.activeElement !== field) field.value = String(round(value));
      }
      this.whole.disabled = start === null && end === null;
    }

    setTime(seconds) {
      this.#time = seconds;
      this.#place("time", seconds);
      this.clock.textContent = clock(seconds);
    }

    setPlaying(playing) {
      this.button.textContent = playing ? "❚❚" : "▶";
      this.button.ariaLabel = t(playing ? "clip.pause" : "clip.play");
      this.button.title = this.button.ariaLabel;
    }

    setPlayable(playable) {
      this.button.disabled = !playable;
    }

    #slider(name, label) {
      const slider = h("span", { class: `clip-slider clip-slider-${name}`, role: "slider", tabindex: 0 });
      slider.ariaLabel = label;
      slider.title = label;
      slider.addEventListener("keydown", (event) => this.#press(event, name));
      return slider;
    }

    #fields() {
      const field = (key) => {
        const input = h("input", { type: "number", min: 0, step: 0.1, inputmode: "decimal" });
        input.addEventListener("change", () => this.#type(key));
        input.addEventListener("blur", () => this.setTrim(...this.#trimmed()));
        return [input, h("label", {}, h("span", {}, t(`clip.${key}`)), input)];
      };
      const [[from, fromLabel], [to, toLabel]] = [field("from"), field("to")];
      [this.from, this.to] = [from, to];
      this.whole = h("button", { type: "button", class: "clip-quiet" }, t("clip.whole"));
      this.whole.addEventListener("click", () => this.#trim(0, this.#duration, true));
      return h("span", { class: "clip-fields" }, fromLabel, toLabel, this.whole);
    }

    #percent(seconds) {
      return `${(100 * seconds) / (this.#duration || 1)}%`;
    }

    #part(name, start, end) {
      const part = h("i", { class: name });
      part.style.left = this.#percent(start);
      if (end > start) part.style.width = this.#percent(end - start);
      return part;
    }

    #key(kind) {
      const swatch = h("span", { class: "clip-swatch" }, h("i", { class: `clip-${kind}` }));
      return h("span", { class: "clip-key" }, swatch, t(`clip.${kind}`));
    }

    // The timeline in words, for those who do not see it.
    #tell(spans, cuts) {
      const told = spans.slice(0, SPANS_TOLD).map(([start, end, kind]) => {
        const moments = { start: clock(start), end: clock(end) };
        return t("clip.span", { kind: t(`clip.${kind}`), ...moments });
      });
      if (spans.length > SPANS_TOLD) told.push("…");
      if (cuts.length) {
        const times = cuts.slice(0, SPANS_TOLD).map((cut) => clock(cut)).join(", ");
        told.push(t("clip.cuts", { count: cuts.length, times }));
      }
      return told.join("; ");
    }

    #place(name, seconds) {
      const slider = this.sliders[name];
      slider.style.left = this.#percent(seconds);
      const [least, most] = this.#limits(name);
      slider.setAttribute("aria-valuemin", String(round(least)));
      slider.setAttribute("aria-valuemax", String(round(most)));
      slider.setAttribute("aria-valuenow", String(round(seconds)));
      slider.setAttribute("aria-valuetext", clock(seconds));
    }

    #now(name) {
      return { start: this.#start, end: this.#end, time: this.#time }[name];
    }

    #limits(name) {
      const gap = Math.max(this.#step, Math.min(STRETCH, this.#duration));
      if (name === "start") return [0, Math.max(0, this.#end - gap)];
      if (name === "end") return [Math.min(this.#duration, this.#start + gap), this.#duration];
      return [0, this.#duration];
    }

    #move(name, seconds, done) {
      const [least, most] = this.#limits(name);
      const held = Math.min(Math.max(seconds, least), most);
      if (name === "time") this.acts.seek(held, done);
      else if (name === "start") this.#trim(held, this.#end, done);
      else this.#trim(this.#start, held, done);
    }

    #trim(start, end, done) {
      this.#start = round(start);
      this.#end = end >= this.#duration ? this.#duration : round(end);
      const [first, last] = this.#trimmed();
      this.setTrim(first, last);
      this.acts.trim(first, last, done);
    }

    #trimmed() {
      return [this.#start > 0 ? this.#start : null, this.#end < this.#duration ? this.#end : null];
    }

    // An emptied field means the clip's own beginning or end.
    #type(key) {
      const typed = Number.parseFloat(key === "from" ? this.from.value : this.to.value);
      if (key === "from") this.#move("start", Number.isFinite(typed) ? typed : 0, true);
      else this.#move("end", Number.isFinite(typed) ? typed : this.#duration, true);
    }

    #press(event, name) {
      const now = this.#now(name);
      const small = name === "time" ? this.#step : STRETCH;
      const step = event.shiftKey ? 1 : small;
      const [least, most] = this.#limits(name);
      const wanted = {
        ArrowRight: now + step,
        ArrowUp: now + step,
        ArrowLeft: now - step,
        ArrowDown: now - step,
        PageUp: now + 5,
        PageDown: now - 5,
        Home: least,
        End: most,
      }[event.key];
      if (event.key === " " && name === "time") this.acts.play();
      else if (wanted !== undefined) this.#move(name, wanted, true);
      else return;
      event.preventDefault();
    }

    // A handle follows the pointer that took it; anywhere else on the strip the player does.
    #grab(event) {
      if (event.button !== 0) return;
      const handle = event.target.closest(".clip-slider");
      const names = Object.keys(this.sliders);
      const name = names.find((one) => this.sliders[one] === handle) ?? "time";
      const box = this.track.getBoundingClientRect();
      const middle = box.left + (this.#now(name) / this.#duration) * box.width;
      // a handle is seldom taken at its very middle, and must not jump for that
      const off = handle ? event.clientX - middle : 0;
      const secondsAt = (x) => ((x - off - box.left) / box.width) * this.#duration;
      const drag = (moved) => this.#move(name, secondsAt(moved.clientX), false);
      const drop = () => {
        this.track.removeEventListener("pointermove", drag);
        for (const end of ["pointerup", "pointercancel"]) this.track.removeEventListener(end, drop);
        this.#move(name, this.#now(name), true);
      };
      event.preventDefault();
      this.sliders[name].focus();
      this.track.setPointerCapture(event.pointerId);
      this.track.addEventListener("pointermove", drag);
      for (const end of ["pointerup", "pointercancel"]) this.track.addEventListener(end, drop);
      if (!handle) drag(event);
    }
  }

  studio.ClipStrip = ClipStrip;
})();
