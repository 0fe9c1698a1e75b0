// Camera or microphone: what is recorded goes into the upload field like any chosen file.
"use strict";
studio.widgets.recorder = (element, props) => {
  const { t, h } = studio;
  const isCamera = props.kind === "camera";
  let stream = null;
  let recorder = null;

  const picture = h("video", {
    class: "recorder-picture", muted: true, playsinline: true, hidden: true,
    "aria-label": t("recorder.picture"),
  });
  const opener = button(isCamera ? "camera-open" : "microphone-record", isCamera ? open : start);
  const photo = button("camera-photo", takePhoto);
  const record = button("camera-record", start);
  const stop = button("stop", () => recorder.stop());
  const closer = button("close", close);
  const trouble = h("p", { class: "recorder-trouble", role: "alert" });
  element.classList.add("recorder");
  opener.classList.add("recorder-opener");
  element.append(
    opener, picture, h("div", { class: "recorder-buttons" }, photo, record, stop, closer), trouble,
  );
  show("closed");

  function button(word, onclick) {
    return h("button", { type: "button", class: "recorder-button", onclick }, t(`recorder.${word}`));
  }

  function show(state) {
    opener.hidden = state !== "closed";
    photo.hidden = record.hidden = closer.hidden = state !== "open";
    stop.hidden = state !== "recording";
    picture.hidden = !isCamera || state === "closed";
  }

  async function open() {
    trouble.textContent = "";
    try {
      const video = isCamera && { width: { ideal: 1280 }, facingMode: "user" };
      stream = await navigator.mediaDevices.getUserMedia({ video, audio: true });
    } catch {
      trouble.textContent = t("recorder.refused");
      return false;
    }
    if (isCamera) {
      picture.srcObject = stream;
      await picture.play();
    }
    show("open");
    return true;
  }

  function close() {
    stream?.getTracks().forEach((track) => track.stop());
    stream = picture.srcObject = null;
    show("closed");
  }

  async function start() {
    if (!stream && !(await open())) return;
    const pieces = [];
    recorder = new MediaRecorder(stream);
    recorder.ondataavailable = (event) => pieces.push(event.data);
    recorder.onstop = () => {
      const kind = recorder.mimeType.split(";")[0];
      const suffix = kind.endsWith("mp4") ? "mp4" : "webm";
      hand(new File(pieces, `${isCamera ? "camera" : "microphone"}.${suffix}`, { type: kind }));
    };
    recorder.start();
    show("recording");
  }

  function takePhoto() {
    const canvas = h("canvas");
    [canvas.width, canvas.height] = [picture.videoWidth, picture.videoHeight];
    canvas.getContext("2d").drawImage(picture, 0, 0);
    canvas.toBlob((blob) => hand(new File([blob], "photo.png", { type: "image/png" })));
  }

  // the upload field is not in the page while it holds a file: clear it first
  async function hand(file) {
    close();
    const field = document.getElementById(props.target);
    if (!field.querySelector("input[type=file]")) field.querySelector("button[aria-label]").click();
    for (let tries = 0; tries < 50 && !field.querySelector("input[type=file]"); tries++) {
      await new Promise((wake) => setTimeout(wake, 100));
    }
    const chosen = new DataTransfer();
    chosen.items.add(file);
    const input = field.querySelector("input[type=file]");
    input.files = chosen.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }
};
