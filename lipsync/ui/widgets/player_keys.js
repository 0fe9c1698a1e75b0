// What the keys do while the focus is within a player.
studio.playerKeys = (() => {
  const ARROWS = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"];

  function action(player, acts, { key, shiftKey }) {
    const way = { ArrowLeft: -1, ArrowRight: 1 }[key];
    if (way) return shiftKey ? () => player.skip(way) : () => acts.step(way);
    const others = {
      " ": acts.toggle,
      k: acts.toggle,
      ",": () => acts.step(-1),
      ".": () => acts.step(1),
      Home: () => acts.seekFrame(0),
      End: () => acts.seekFrame(Infinity),
      s: () => player.slowDown(),
      l: acts.toggleLoop,
      m: acts.toggleMute,
      f: acts.toggleFull,
    };
    return others[key.length === 1 ? key.toLowerCase() : key];
  }

  // Some controls have a use of their own for the key: a button is pressed by Space.
  function isTaken(target, key) {
    if (key === " ") return target.matches("button, summary, input[type=radio]");
    return ARROWS.includes(key) && target.matches("input[type=radio], .player-volume");
  }

  return (player, acts, event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTaken(event.target, event.key)) return;
    const act = action(player, acts, event);
    if (!act) return;
    event.preventDefault();
    act();
  };
})();
