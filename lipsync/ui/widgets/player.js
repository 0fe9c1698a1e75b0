// The result's player, and beside it what was there before, on the same frame.
(() => {
  const { t } = studio;

  class Player {
    #clock = null;
    #value = null;
    #rate = 1;
    #muted = false;
    #drawn = {};

    constructor(element) {
      const acts = {
        toggle: () => this.toggle(),
        step: (frames) => this.#clock.step(frames),
        seekFrame: (frame) => this.#clock.seek(frame),
        setRate: (rate) => this.setRate(rate),
        setMode: (mode) => this.setMode(mode),
        setVolume: (volume) => this.setMuted(volume === 0),
        toggleLoop: () => this.setLoop(!this.loops),
        toggleMute: () => this.setMuted(!this.#muted),
        toggleFull: () => this.toggleFull(),
        saveStill: () => this.saveStill(),
      };
      this.parts = studio.playerParts.build(acts);
      const { root, after } = this.parts;
      root.player = this;
      after.addEventListener("error", () => this.#complain("player.broken"));
      root.addEventListener("keydown", (event) => studio.playerKeys(this, acts, event));
      root.addEventListener("fullscreenchange", () => this.#drawFull());
      this.setRate(1);
      this.setLoop(false);
      this.setMode("after");
      element.append(root);
    }

    // null puts the player away; the same result, now with a `before`, keeps its place.
    show(value) {
      const same = value && value.after.src === this.#value?.after.src;
      this.#value = value;
      this.parts.root.hidden = !value;
      if (!same) this.#load(value);
      if (!value) return;
      this.#describe(value);
      if (value.before?.src !== this.#clock.beside) this.#compare(this.#clock, value.before);
      this.#report();
    }

    #load(value) {
      this.#clock?.close();
      this.#clock = null;
      this.parts.trouble.hidden = true;
      this.#setComparable(false);
      if (!value) return;
      const { width, height, frames } = value.after;
      this.parts.root.style.setProperty("--player-aspect", width / height);
      this.parts.timeline.max = frames - 1;
      this.#clock = new studio.PlayerClock(this.parts.after, value.after, () => this.#report());
      this.#clock.loop = this.loops;
      this.#clock.setRate(this.#rate);
    }

    async #compare(clock, before) {
      clock.beside = before?.src;
      clock.detach();
      this.#setComparable(false);
      if (!before) return;
      const there = await clock.attach(this.parts.before, before);
      if (there === false) this.#complain("player.no_before");
      if (there) this.#setComparable(true);
      this.#report();
    }

    #setComparable(comparable) {
      this.parts.modes.disabled = !comparable;
      this.parts.root.dataset.comparable = comparable;
      this.setMode(comparable ? "wipe" : "after");
    }

    #describe({ labels, skipped, after }) {
      const { tags, wipe, modeTexts, marks } = this.parts;
      const [before, now] = labels ?? [t("player.before"), t("player.after")];
      tags[0].textContent = before;
      tags[1].textContent = now;
      wipe.names(before, now);
      const texts = [t("player.mode_wipe"), t("player.mode_side"), now, before];
      modeTexts.forEach((element, index) => (element.textContent = texts[index]));
      const percent = (seconds) => `${(100 * seconds * after.fps) / after.frames}%`;
      const made = skipped.map(([start, end, reason]) => {
        const mark = studio.h("span", { class: "player-mark", title: reason });
        mark.style.left = percent(start);
        mark.style.width = percent(end - start);
        return mark;
      });
      marks.replaceChildren(...made);
    }

    #complain(key) {
      this.parts.trouble.textContent = t(key);
      this.parts.trouble.hidden = false;
    }

    #report() {
      if (!this.#clock) return;
      const { root, timeline, time, play } = this.parts;
      const { frame, playing, drift } = this.#clock;
      const { fps, frames } = this.#clock.master;
      Object.assign(root.dataset, { frame, drift, playing });
      if (frame !== this.#drawn.frame || frames !== this.#drawn.frames) {
        timeline.value = frame;
        timeline.style.setProperty("--player-share", frame / Math.max(1, frames - 1));
        const values = { now: studio.clock(frame / fps), length: studio.clock(frames / fps) };
        time.textContent = t("player.time", values);
        timeline.setAttribute("aria-valuetext", time.textContent);
      }
      if (playing !== this.#drawn.playing) {
        play.replaceChildren(studio.playerIcon(playing ? "pause" : "play"));
        studio.playerParts.name(play, playing ? "pause" : "play");
      }
      this.#drawn = { frame, frames, playing };
    }

    toggle() {
      return this.#clock.playing ? this.#clock.pause() : this.#clock.play();
    }

    // Stands on the frame shown at that moment of the result.
    seek(seconds) {
      if (!this.#clock) return;
      this.parts.root.scrollIntoView({ block: "nearest" });
      this.#clock.seek(this.#clock.master.frameAt(seconds));
    }

    // Moves on by so many seconds, back where negative.
    skip(seconds) {
      this.#clock.seek(this.#clock.frame + seconds * this.#clock.master.fps);
    }

    setMode(mode) {
      this.parts.root.dataset.mode = mode;
      pick(this.parts.modes, mode);
      this.setMuted(this.#muted);
    }

    setRate(rate) {
      this.#rate = rate;
      this.#clock?.setRate(rate);
      pick(this.parts.rates, rate);
    }

    slowDown() {
      const { RATES } = studio.playerParts;
      this.setRate(RATES[(RATES.indexOf(this.#rate) + 1) % RATES.length]);
    }

    get loops() {
      return this.parts.loop.ariaPressed === "true";
    }

    setLoop(loop) {
      this.parts.loop.ariaPressed = String(loop);
      if (this.#clock) this.#clock.loop = loop;
    }

    // Of two results the one alone on the screen is heard; what was before has no sound.
    setMuted(muted) {
      const { root, after, before, mute, volume } = this.parts;
      const other = root.dataset.mode === "before" && Boolean(this.#value?.labels);
      this.#muted = muted;
      after.muted = muted || other;
      before.muted = muted || !other;
      after.volume = before.volume = volume.valueAsNumber || 1;
      volume.style.setProperty("--player-share", volume.valueAsNumber);
      mute.replaceChildren(studio.playerIcon(muted ? "silent" : "sound"));
      studio.playerParts.name(mute, muted ? "unmute" : "mute");
    }

    toggleFull() {
      if (document.fullscreenElement) document.exitFullscreen();
      else if (document.fullscreenEnabled) this.parts.root.requestFullscreen();
    }

    #drawFull() {
      const full = document.fullscreenElement === this.parts.root;
      this.parts.full.replaceChildren(studio.playerIcon(full ? "small" : "full"));
      studio.playerParts.name(this.parts.full, full ? "small" : "full");
    }

    // Downloads the frame on the screen, in the result's own size.
    async saveStill() {
      await this.#clock.step(0); // stands still, so that name and picture agree
      const { after } = this.parts;
      const canvas = document.createElement("canvas");
      canvas.width = after.videoWidth;
      canvas.height = after.videoHeight;
      canvas.getContext("2d").drawImage(after, 0, 0);
      const picture = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
      const number = String(this.#clock.frame).padStart(4, "0");
      const link = document.createElement("a");
      link.href = URL.createObjectURL(picture);
      link.download = `${this.#value.stem}-frame-${number}.png`;
      link.click();
      URL.revokeObjectURL(link.href);
    }
  }

  function pick(group, value) {
    for (const input of group.querySelectorAll("input")) input.checked = input.value === `${value}`;
  }

  studio.widgets.player = (element, props, trigger, watch) => {
    const player = new Player(element);
    player.show(props.value || null);
    watch("value", () => player.show(props.value || null));
  };

  // seek("player", 1.5): for other widgets; `id` is the elem_id of a player
  studio.seek = (id, seconds) => {
    document.getElementById(id)?.querySelector(".player")?.player.seek(seconds);
  };
})();
