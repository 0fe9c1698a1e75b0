// Cards with a small picture each: what happens where the clip is shorter than the voice.
"use strict";
studio.widgets.fits = (element, props, trigger, watch) => {
  const { t, h } = studio;
  const SVG = "http://www.w3.org/2000/svg";
  const [WIDTH, CLIP] = [76, 30]; // of the voice, and of the clip played once; drawing units

  // stretches of the picture's lower row: [from, to, direction], 0 stands still
  const PIECES = {
    bounce: [[0, CLIP, 1], [CLIP, 2 * CLIP, -1], [2 * CLIP, WIDTH, 1]],
    loop: [[0, CLIP, 1], [CLIP, 2 * CLIP, 1], [2 * CLIP, WIDTH, 1]],
    cut: [[0, CLIP, 1]],
    hold: [[0, CLIP, 1], [CLIP, WIDTH, 0]],
    stretch: [[0, WIDTH, 1]],
  };

  const radios = new Map();
  const group = h("div", { class: "fits-cards", role: "radiogroup", "aria-label": t("inputs.fits") });
  for (const name of Object.keys(PIECES)) group.append(drawCard(name));
  element.classList.add("fits");
  element.append(h("p", { class: "fits-title", "aria-hidden": "true" }, t("inputs.fits")), group);
  showChoice();
  watch("value", showChoice);

  function drawCard(name) {
    const [title, sentence] = [`fits-title-${name}`, `fits-sentence-${name}`];
    const radio = h("input", {
      type: "radio", name: "fit", value: name, class: "fits-radio",
      "aria-labelledby": title, "aria-describedby": sentence, onchange: choose,
    });
    radios.set(name, radio);
    return h("label", { class: "fits-card" },
      radio,
      drawPicture(name),
      h("span", { id: title, class: "fits-name" }, t(`inputs.fit-${name}`)),
      h("span", { id: sentence, class: "fits-sentence" }, t(`inputs.fit-${name}-sentence`)),
    );
  }

  function choose(event) {
    props.value = event.target.value;
    trigger("input");
  }

  function showChoice() {
    radios.get(props.value).checked = true;
  }

  // above the voice as bars, below the clip as a film strip with an arrow for each time it plays
  function drawPicture(name) {
    const pieces = PIECES[name];
    const end = pieces.at(-1)[1];
    const picture = draw("svg", { class: "fits-picture", viewBox: `-1 0 ${WIDTH + 2} 34`, "aria-hidden": "true" });
    for (let x = 1; x < WIDTH; x += 4) {
      const height = 3 + 4 * Math.abs(Math.sin(x * 0.9)) + 3 * Math.abs(Math.sin(x * 0.23));
      const kind = x < end ? "fits-voice" : "fits-voice fits-gone";
      picture.append(draw("rect", { class: kind, x, y: 7 - height / 2, width: 2, height, rx: 1 }));
    }
    for (const [from, to, direction] of pieces) {
      const kind = direction === 0 ? "fits-piece fits-still" : "fits-piece";
      picture.append(draw("rect", { class: kind, x: from + 0.75, y: 17, width: to - from - 1.5, height: 14, rx: 2.5 }));
      picture.append(direction === 0 ? drawPause((from + to) / 2) : drawArrow(from, to, direction));
    }
    return picture;
  }

  function drawArrow(from, to, direction) {
    const [left, right] = [from + 5, to - 5];
    const tip = direction > 0 ? right : left;
    const back = tip - 3 * direction;
    return draw("path", { class: "fits-arrow", d: `M${left} 24H${right}M${back} 21L${tip} 24L${back} 27` });
  }

  function drawPause(x) {
    return draw("path", { class: "fits-arrow", d: `M${x - 2} 21V27M${x + 2} 21V27` });
  }

  function draw(tag, attributes) {
    const shape = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) shape.setAttribute(name, value);
    return shape;
  }
};
