// The player's pictograms, 24 x 24, drawn with strokes in the colour of the text.
studio.playerIcon = (() => {
  const space = "http://www.w3.org/2000/svg";
  const paths = {
    play: "M7 4.5v15l12-7.5z",
    pause: "M8 5v14M16 5v14",
    back: "M18 5.5v13L9 12zM6 5.5v13",
    forward: "M6 5.5v13l9-6.5zM18 5.5v13",
    loop: "M17 3l3 3-3 3M20 6H8a4 4 0 0 0-4 4v1M7 21l-3-3 3-3M4 18h12a4 4 0 0 0 4-4v-1",
    sound: "M4 9.5v5h3.5L12 18.5v-13L7.5 9.5zM15.5 9a4 4 0 0 1 0 6M18 6.5a8 8 0 0 1 0 11",
    silent: "M4 9.5v5h3.5L12 18.5v-13L7.5 9.5zM16 9.5l5 5M21 9.5l-5 5",
    full: "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5",
    small: "M9 4v5H4M20 9h-5V4M15 20v-5h5M4 15h5v5",
    still: "M4 7.5h4l1.5-2.5h5L16 7.5h4v11H4zM12 16a3 3 0 1 0 0-6 3 3 0 0 0 0 6z",
    keys: "M3 6.5h18v11H3zM7 10h.01M11 10h.01M15 10h.01M17 10h.01M7.5 14h9",
  };

  return (name) => {
    const icon = document.createElementNS(space, "svg");
    const path = document.createElementNS(space, "path");
    icon.setAttribute("viewBox", "0 0 24 24");
    icon.setAttribute("aria-hidden", "true");
    icon.setAttribute("class", "player-icon");
    path.setAttribute("d", paths[name]);
    icon.append(path);
    return icon;
  };
})();
