// What the player is made of. Nothing here knows of playing: every control calls `acts`.
studio.playerParts = (() => {
  const { t, h } = studio;
  const icon = (picture) => studio.playerIcon(picture);
  const RATES = [1, 0.5, 0.25];
  const MODES = ["wipe", "side", "after", "before"];
  const KEYS = ["play", "frame", "second", "ends", "slow", "loop", "mute", "full"];
  let count = 0; // of players on the page, for the names of radio groups

  function name(control, key) {
    control.title = t(`player.${key}`);
    control.ariaLabel = t(`player.${key}`);
  }

  function button(key, picture, act, ...more) {
    const options = { type: "button", class: "player-button", onclick: act };
    const made = h("button", options, icon(picture), ...more);
    name(made, key);
    return made;
  }

  // One of several, as radio buttons: texts[i] belongs to values[i].
  function choice(key, values, texts, choose) {
    const group = `player-${key}-${count}`;
    const options = values.map((value, index) => {
      const input = h("input", { type: "radio", name: group, value });
      input.addEventListener("change", () => choose(value));
      return h("label", {}, input, texts[index]);
    });
    return h("fieldset", { class: "player-choice", "aria-label": t(`player.${key}`) }, ...options);
  }

  function range(key, options, act) {
    const made = h("input", { type: "range", class: `player-${key}`, ...options });
    made.ariaLabel = t(`player.${key}`);
    made.addEventListener("input", () => act(made.valueAsNumber));
    return made;
  }

  function stage(acts) {
    const [after, before] = ["after", "before"].map((side) => {
      return h("video", { class: `player-${side}`, playsinline: true, preload: "auto" });
    });
    const tags = ["before", "after"].map((side) => {
      return h("span", { class: `player-tag player-tag-${side}` });
    });
    const picture = h("div", { class: "player-picture" }, after, before, ...tags);
    const wipe = studio.playerWipe(picture);
    picture.append(wipe.handle);
    const whole = h("div", { class: "player-stage", onclick: acts.toggle }, picture);
    return { whole, after, before, tags, wipe };
  }

  function transport(acts) {
    const play = button("play", "play", acts.toggle);
    const back = button("back", "back", () => acts.step(-1));
    const forward = button("forward", "forward", () => acts.step(1));
    const time = h("span", { class: "player-time" });
    const texts = RATES.map((rate) => h("span", {}, `${rate}×`));
    const rates = choice("speed", RATES, texts, acts.setRate);
    const loop = button("loop", "loop", acts.toggleLoop);
    const mute = button("mute", "sound", acts.toggleMute);
    const volume = range("volume", { min: 0, max: 1, step: 0.05, value: 1 }, acts.setVolume);
    const full = button("full", "full", acts.toggleFull);
    full.hidden = !document.fullscreenEnabled; // some phones have none
    const ends = [h("span", { class: "player-gap" }), rates, loop, mute, volume, full];
    const whole = h("div", { class: "player-row" }, back, play, forward, time, ...ends);
    return { whole, play, time, rates, loop, mute, volume, full };
  }

  function tools(acts) {
    const modeTexts = MODES.map(() => h("span"));
    const modes = choice("view", MODES, modeTexts, acts.setMode);
    const text = h("span", {}, t("player.still_short"));
    const still = button("still", "still", acts.saveStill, text);
    const gap = h("span", { class: "player-gap" });
    const whole = h("div", { class: "player-row" }, modes, gap, still, keyboard());
    return { whole, modes, modeTexts };
  }

  function keyboard() {
    const rows = KEYS.flatMap((key) => [
      h("dt", {}, h("kbd", {}, t(`player.keys_${key}`))),
      h("dd", {}, t(`player.does_${key}`)),
    ]);
    const summary = h("summary", { class: "player-button" }, icon("keys"));
    name(summary, "keys");
    const made = h("details", { class: "player-keys" }, summary, h("dl", {}, ...rows));
    made.addEventListener("focusout", (event) => {
      if (!made.contains(event.relatedTarget)) made.open = false;
    });
    made.addEventListener("keydown", (event) => {
      if (event.key === "Escape") made.open = false;
    });
    return made;
  }

  // Returns the elements by name; `root` holds them all.
  function build(acts) {
    count += 1;
    const top = stage(acts);
    const middle = transport(acts);
    const bottom = tools(acts);
    const trouble = h("p", { class: "player-trouble", role: "alert", hidden: true });
    const timeline = range("timeline", { min: 0, step: 1 }, acts.seekFrame);
    const marks = h("div", { class: "player-marks" });
    const bar = h("div", { class: "player-bar" }, marks, timeline);
    const options = { class: "player", role: "group", tabindex: -1, hidden: true };
    const rows = [top.whole, trouble, bar, middle.whole, bottom.whole];
    const root = h("div", { ...options, "aria-label": t("player.name") }, ...rows);
    return { root, trouble, timeline, marks, ...top, ...middle, ...bottom };
  }

  return { build, name, RATES };
})();
