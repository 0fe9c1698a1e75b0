// The chosen clip: picture, faces to choose from, timeline and the part to use.
(() => {
  const { t, h } = studio;
  const NEAR_SECONDS = 0.3; // a face seen longer ago may have moved
  const FAR_SECONDS = 1; // what a job accepts, for long clips that are looked at now and then only
  const TOLD_SECONDS = 0.5; // how far behind the clip's player a preview may start
  const REACH = 0.15; // of a face's size around its box that a click may miss it by

  function lengthOf(seconds) {
    const whole = Math.round(seconds);
    if (whole < 60) return t("run.seconds", { count: Math.round(seconds * 10) / 10 });
    if (whole < 3600) {
      return t("run.minutes", { minutes: Math.floor(whole / 60), seconds: whole % 60 });
    }
    const minutes = Math.floor((whole % 3600) / 60);
    return t("run.hours", { hours: Math.floor(whole / 3600), minutes });
  }

  // Where in an element a picture of the given size lies that is fitted into it as a whole.
  function fitted(box, width, height) {
    const scale = Math.min(box.width / width, box.height / height);
    const [shown, high] = [width * scale, height * scale];
    return { left: (box.width - shown) / 2, top: (box.height - high) / 2, width: shown, height: high };
  }

  class ClipPanel {
    #clip = { id: "" };
    #scan = null;
    #time = 0;
    #near = NEAR_SECONDS;

    constructor(element, props, tell) {
      this.props = props;
      this.tell = tell;
      this.media = null;
      this.chosen = this.#emptyChoice("");
      this.layer = h("div", { class: "clip-layer", "aria-hidden": "true" });
      this.stage = h("div", { class: "clip-stage" });
      this.facts = h("p", { class: "clip-facts" });
      this.grow = h("button", { type: "button", class: "clip-quiet", "aria-pressed": "false" });
      this.grow.addEventListener("click", () => this.#resize());
      this.faces = new studio.ClipFaces((face) => this.#chooseListed(face));
      this.strip = new studio.ClipStrip({
        seek: (seconds, done) => this.#seek(seconds, done),
        trim: (start, end, done) => this.#trim(start, end, done),
        play: () => this.#toggle(),
      });
      this.alert = h("p", { class: "clip-alert", role: "alert", hidden: true });
      this.note = h("p", { class: "clip-note", role: "status", hidden: true });
      this.unplayable = h("p", { class: "clip-note", hidden: true }, t("clip.unplayable"));
      const side = h("div", { class: "clip-side" });
      side.append(h("div", { class: "clip-line" }, this.facts, this.grow), this.faces.root);
      side.append(this.unplayable);
      this.top = h("div", { class: "clip-top" }, this.stage, side);
      this.root = h("section", { class: "clip", "aria-label": t("clip.panel"), hidden: true });
      this.root.append(this.top, this.strip.root, this.alert, this.note);
      this.stage.addEventListener("click", (event) => this.#clickPicture(event));
      new ResizeObserver(() => this.#drawBoxes()).observe(this.stage);
      element.append(this.root);
      this.#resize(false);
    }

    // Facts of a clip arrived: a new one forgets what was chosen in the last one.
    setClip(clip) {
      const known = clip.id === this.#clip.id && clip.url === this.#clip.url;
      if (known && !clip.error) return;
      this.#clip = clip;
      this.#scan = null;
      this.#time = 0;
      const kept = this.props.value;
      this.chosen = kept && kept.clip === clip.id ? { ...kept } : this.#emptyChoice(clip.id);
      this.root.hidden = !clip.id;
      this.top.hidden = Boolean(clip.error);
      this.strip.root.hidden = Boolean(clip.error) || !clip.id || clip.still;
      this.unplayable.hidden = true;
      this.#showMedia();
      if (clip.id && !clip.error) {
        this.#showFacts();
        this.strip.setClip(clip.duration, clip.step);
        this.strip.setTrim(this.chosen.start, this.chosen.end);
        this.#showTime(this.chosen.playhead);
      }
      this.#showScan();
      this.#commit();
    }

    // More of the clip has been looked through; the visitor may be in the middle of something.
    setScan(scan) {
      if (!scan || scan.id !== this.#clip.id || this.#clip.error) return;
      this.#scan = scan;
      let gap = Infinity; // between two looks
      scan.sightings.forEach(([seconds], index) => {
        const before = index ? scan.sightings[index - 1][0] : -Infinity;
        if (seconds > before) gap = Math.min(gap, seconds - before);
      });
      this.#near = Math.min(Math.max(0.6 * gap, NEAR_SECONDS), FAR_SECONDS);
      this.#showScan();
    }

    // A handler chose: "try again with" brings back an earlier selection.
    setChoice(value) {
      if (!value || value.clip !== this.#clip.id || this.#clip.error) return;
      this.chosen = { ...value };
      this.strip.setTrim(value.start, value.end);
      this.#seek(value.playhead, false);
      this.#showFace();
      this.#showWords();
    }

    #emptyChoice(id) {
      return { clip: id, start: null, end: null, face: null, playhead: 0 };
    }

    #commit(tell = true) {
      this.chosen.playhead = this.#time;
      this.props.value = { ...this.chosen };
      if (tell) this.tell();
    }

    #showMedia() {
      const clip = this.#clip;
      if (this.media && this.media.pause) this.media.pause();
      this.media = null;
      if (!clip.id || clip.error) {
        this.stage.replaceChildren();
        return;
      }
      this.stage.style.setProperty("--clip-ratio", clip.width / clip.height);
      if (clip.still) {
        this.media = h("img", { src: clip.poster, alt: t("clip.photo-alt") });
      } else {
        this.media = this.#makeVideo(clip);
      }
      this.stage.replaceChildren(this.media, this.layer);
    }

    #makeVideo(clip) {
      const video = h("video", { playsinline: true, preload: "auto", poster: clip.poster });
      video.ariaLabel = t("clip.video");
      video.addEventListener("error", () => {
        if (video !== this.media) return;
        this.unplayable.hidden = false;
        this.strip.setPlayable(false);
        video.replaceWith(h("img", { src: clip.poster, alt: t("clip.video") }));
        this.#drawBoxes();
      });
      const follow = () => {
        if (video !== this.media) return;
        this.#showTime(video.currentTime);
        if (video.paused) return;
        if (Math.abs(this.#time - this.chosen.playhead) > TOLD_SECONDS) this.#commit(false);
        const end = this.chosen.end;
        if (end !== null && video.currentTime >= end && video.currentTime < end + 0.5) video.pause();
        else requestAnimationFrame(follow);
      };
      for (const name of ["play", "pause"]) {
        video.addEventListener(name, () => {
          if (video !== this.media) return;
          this.strip.setPlaying(!video.paused);
          follow();
          if (video.paused) this.#commit(false);
        });
      }
      video.addEventListener("seeked", follow);
      video.src = clip.url;
      this.strip.setPlayable(true);
      this.strip.setPlaying(false);
      return video;
    }

    #showFacts() {
      const { still, width, height, rate, duration } = this.#clip;
      const facts = [t("clip.size", { width, height })];
      if (still) facts.push(t("clip.photo"));
      else facts.push(t("clip.rate", { rate }), lengthOf(duration));
      this.facts.textContent = facts.join(" · ");
    }

    #showScan() {
      const scan = this.#scan;
      this.strip.setScan(scan);
      this.faces.setFaces(scan ? scan.faces : []);
      this.#showFace();
      this.#showWords();
      this.#drawBoxes();
    }

    #showFace() {
      this.faces.setChosen(this.chosen.face ? this.#listedFace(this.chosen.face) : null);
    }

    // Which of the listed faces a place in the clip shows; -1 = none of them.
    #listedFace([x, y, seconds]) {
      let best = null;
      for (const sighting of this.#scan ? this.#scan.sightings : []) {
        const [when, , left, top, right, bottom] = sighting;
        const inside = x >= left && x <= right && y >= top && y <= bottom;
        const away = Math.abs(when - seconds);
        if (inside && away < FAR_SECONDS && (!best || away < best.away)) best = { away, face: sighting[1] };
      }
      return best ? best.face : -1;
    }

    // The sighting of a listed face within the part to use, nearest to the one in its portrait.
    #sightingOf(face) {
      const { start, end } = this.chosen;
      const near = this.#scan.faces[face].seconds;
      let best = null;
      for (const sighting of this.#scan.sightings) {
        const inside = sighting[0] >= (start ?? 0) && sighting[0] < (end ?? Infinity);
        if (sighting[1] !== face || !inside) continue;
        if (!best || Math.abs(sighting[0] - near) < Math.abs(best[0] - near)) best = sighting;
      }
      return best;
    }

    #chooseListed(face) {
      if (face === null) {
        this.#choose(null);
        return;
      }
      const { seconds, box } = this.#scan.faces[face];
      const sighting = this.#sightingOf(face) ?? [seconds, face, ...box];
      this.#choose(sighting);
      this.#seek(sighting[0], false);
    }

    #choose(sighting) {
      if (sighting) {
        const [seconds, , left, top, right, bottom] = sighting;
        this.chosen.face = [(left + right) / 2, (top + bottom) / 2, seconds];
      } else this.chosen.face = null;
      this.#showFace();
      this.#showWords();
      this.#drawBoxes();
      this.#commit();
    }

    // Those seen at about the time the picture shows.
    #inPicture() {
      const scan = this.#scan;
      if (!scan || this.#isPlaying()) return [];
      if (!this.unplayable.hidden && this.#time > this.#near) return []; // the poster stays
      // what is shown belongs to one shot, and so does who was seen in it
      const half = this.#clip.step / 2; // the player may stand a trifle before its picture
      const shot = Math.max(0, ...scan.cuts.filter((cut) => cut <= this.#time + half));
      const next = Math.min(Infinity, ...scan.cuts.filter((cut) => cut > this.#time + half));
      let nearest = Infinity;
      for (const [seconds] of scan.sightings) {
        if (seconds < shot || seconds >= next) continue;
        if (Math.abs(seconds - this.#time) < Math.abs(nearest - this.#time)) nearest = seconds;
      }
      if (Math.abs(nearest - this.#time) > this.#near) return [];
      return scan.sightings.filter((sighting) => sighting[0] === nearest);
    }

    #drawBoxes() {
      const { width, height } = this.#clip;
      if (!this.media || !width) return;
      const place = fitted(this.stage.getBoundingClientRect(), width, height);
      for (const side of ["left", "top", "width", "height"]) {
        this.layer.style[side] = `${place[side]}px`;
      }
      const chosen = this.chosen.face ? this.#listedFace(this.chosen.face) : null;
      const boxes = this.#inPicture().map(([, face, left, top, right, bottom]) => {
        const box = h("i", { class: face >= 0 && face === chosen ? "clip-box clip-mine" : "clip-box" });
        box.style.left = `${(100 * left) / width}%`;
        box.style.top = `${(100 * top) / height}%`;
        box.style.width = `${(100 * (right - left)) / width}%`;
        box.style.height = `${(100 * (bottom - top)) / height}%`;
        return box;
      });
      this.layer.replaceChildren(...boxes);
    }

    #clickPicture(event) {
      const { width, height, still } = this.#clip;
      const outer = this.stage.getBoundingClientRect();
      const place = fitted(outer, width, height);
      const x = ((event.clientX - outer.left - place.left) / place.width) * width;
      const y = ((event.clientY - outer.top - place.top) / place.height) * height;
      const hits = this.#inPicture().filter(([, , left, top, right, bottom]) => {
        const [dx, dy] = [REACH * (right - left), REACH * (bottom - top)];
        return x >= left - dx && x <= right + dx && y >= top - dy && y <= bottom + dy;
      });
      const area = ([, , left, top, right, bottom]) => (right - left) * (bottom - top);
      hits.sort((one, other) => area(one) - area(other));
      if (hits.length) this.#choose(hits[0]);
      else if (!still) this.#toggle();
    }

    #isPlaying() {
      return Boolean(this.media && this.media.play && !this.media.paused);
    }

    #toggle() {
      if (!this.media || !this.media.play || !this.unplayable.hidden) return;
      const { start, end } = this.chosen;
      if (this.#isPlaying()) {
        this.media.pause();
        return;
      }
      const outside = this.#time < (start ?? 0) - 0.05 || this.#time >= (end ?? Infinity) - 0.05;
      if (outside) this.#seek(start ?? 0, false);
      // refused while nothing is loaded yet: then nothing plays, and the button still says so
      this.media.play().catch(() => this.strip.setPlaying(false));
    }

    #showTime(seconds) {
      this.#time = Math.min(Math.max(seconds, 0), this.#clip.duration);
      this.strip.setTime(this.#time);
      this.#drawBoxes();
    }

    #seek(seconds, done) {
      this.#showTime(seconds);
      if (this.media && this.media.play) this.media.currentTime = this.#time;
      if (done) this.#commit();
    }

    #trim(start, end, done) {
      const moved = start !== this.chosen.start ? (start ?? 0) : (end ?? this.#clip.duration);
      this.chosen.start = start;
      this.chosen.end = end;
      this.#seek(moved, false);
      const face = this.chosen.face && this.#scan ? this.#listedFace(this.chosen.face) : -1;
      const sighting = face >= 0 ? this.#sightingOf(face) : null;
      if (sighting) this.#choose(sighting);
      this.#showWords();
      if (done) this.#commit();
    }

    #showWords() {
      const trouble = this.#clip.error ?? this.#findTrouble();
      const note = trouble ? null : this.#findNote();
      for (const [line, text] of [[this.alert, trouble], [this.note, note]]) {
        line.hidden = !text;
        if (line.textContent !== (text ?? "")) line.textContent = text ?? "";
      }
    }

    // Why no job can use what is chosen, said before anything is spent.
    #findTrouble() {
      const scan = this.#scan;
      if (!scan || scan.share < 1) return null;
      if (scan.trouble) return scan.trouble;
      const { found, turned } = this.#shares();
      if (found > 0) return null;
      return turned > 0 ? t("clip.all-turned") : t("clip.none-here");
    }

    #findNote() {
      const scan = this.#scan;
      if (!scan || scan.share < 1) return null;
      const face = this.chosen.face ? this.#listedFace(this.chosen.face) : -1;
      if (face >= 0 && !this.#clip.still && !this.#sightingOf(face)) return t("clip.not-here");
      const { found } = this.#shares();
      if (found > 0.95) return null;
      return t("clip.partly", { percent: Math.max(1, Math.round(100 * found)) });
    }

    // The shares of the part to use in which the face is found and turned away.
    #shares() {
      const shares = { found: 0, turned: 0, lost: 0 };
      const start = this.chosen.start ?? 0;
      const end = this.chosen.end ?? this.#clip.duration;
      for (const [from, to, kind] of this.#scan.spans) {
        if (this.#clip.still) shares[kind] = 1;
        else shares[kind] += Math.max(0, Math.min(to, end) - Math.max(from, start)) / (end - start);
      }
      return shares;
    }

    #resize(larger = !this.root.classList.contains("clip-large")) {
      this.root.classList.toggle("clip-large", larger);
      this.grow.textContent = t(larger ? "clip.smaller" : "clip.larger");
      this.grow.setAttribute("aria-pressed", String(larger));
      this.#drawBoxes();
    }
  }

  studio.widgets.clip = (element, props, trigger, watch) => {
    const panel = new ClipPanel(element, props, () => trigger("input"));
    const update = () => {
      panel.setClip(props.clip ?? { id: "" });
      panel.setScan(props.scan);
    };
    watch(["clip", "scan"], update);
    watch("value", () => panel.setChoice(props.value));
    update();
  };
})();
