// The line between two pictures that lie on one another, moved by pointer, touch and keys.
studio.playerWipe = (() => {
  const STEPS = { ArrowLeft: -2, ArrowDown: -2, ArrowRight: 2, ArrowUp: 2, PageDown: -10, PageUp: 10 };
  const ENDS = { Home: 0, End: 100 };

  // Returns the handle, to stand within `picture`; its style gets --player-wipe in per cent.
  return (picture) => {
    const line = studio.h("span", { class: "player-grip", "aria-hidden": "true" }, "‹ ›");
    const handle = studio.h(
      "div",
      { class: "player-wipe", role: "slider", tabindex: 0, "aria-orientation": "horizontal" },
      line,
    );
    handle.ariaLabel = studio.t("player.wipe");
    handle.ariaValueMin = 0;
    handle.ariaValueMax = 100;
    let share = 50;

    function place(percent) {
      share = Math.max(0, Math.min(100, percent));
      picture.style.setProperty("--player-wipe", `${share}%`);
      handle.ariaValueNow = Math.round(share);
      const { before, after } = handle.dataset;
      const rest = 100 - Math.round(share);
      const words = { before, after, share: Math.round(share), rest };
      handle.ariaValueText = studio.t("player.wipe_value", words);
    }

    function follow(event) {
      const { left, width } = picture.getBoundingClientRect();
      place(((event.clientX - left) / width) * 100);
    }

    handle.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      handle.setPointerCapture(event.pointerId);
      handle.focus({ preventScroll: true });
      follow(event);
      event.preventDefault(); // no text is selected on the way
    });
    handle.addEventListener("pointermove", (event) => {
      if (handle.hasPointerCapture(event.pointerId)) follow(event);
    });
    handle.addEventListener("click", (event) => event.stopPropagation()); // does not play
    handle.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
      const to = event.key in ENDS ? ENDS[event.key] : share + (STEPS[event.key] ?? NaN);
      if (Number.isNaN(to)) return;
      place(to);
      event.preventDefault();
      event.stopPropagation(); // the same keys mean frames to the player
    });

    // names(before, after): what lies left and right of the line
    const names = (before, after) => {
      Object.assign(handle.dataset, { before, after });
      place(share);
    };
    return { handle, names };
  };
})();
