// The score card is plain HTML; its seconds move a player, by click and by arrow keys.
(() => {
  const STEPS = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };

  document.addEventListener("click", ({ target }) => {
    const bar = target.closest?.(".score-plot[data-player] .score-bar");
    if (!bar) return;
    stopAt(bar);
    studio.seek(bar.parentElement.dataset.player, Number(bar.dataset.seek));
  });

  document.addEventListener("keydown", (event) => {
    const bar = event.target.closest?.(".score-plot[data-player] .score-bar");
    const step = STEPS[event.key];
    if (!bar || !step || event.ctrlKey || event.metaKey || event.altKey) return;
    const bars = [...bar.parentElement.querySelectorAll(".score-bar")];
    const place = Math.max(0, Math.min(bars.length - 1, bars.indexOf(bar) + step));
    stopAt(bars[place]);
    bars[place].focus();
    event.preventDefault();
  });

  // The tab key comes back to this second.
  function stopAt(chosen) {
    for (const bar of chosen.parentElement.querySelectorAll(".score-bar")) {
      bar.tabIndex = bar === chosen ? 0 : -1;
    }
  }
})();
