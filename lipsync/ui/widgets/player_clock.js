// Two videos on one clock: the master has the sound, the follower is kept on the same frame.
(() => {
  const JUMP = 2; // frames: further apart than this, the follower jumps
  const BRAKE = 0.75; // frames: further ahead than this, it waits
  const CATCH_UP = 0.2; // seconds in which it runs in a smaller distance
  const [SLOWEST, FASTEST] = [0.5, 2]; // of the follower while it does, in times the rate
  const LONGEST_LEAD = 0.5; // seconds

  // Settles at the event, or when the file turns out not to be playable.
  function happened(video, name) {
    return new Promise((resolve) => {
      const names = [name, "error", "emptied"];
      const settle = () => {
        for (const each of names) video.removeEventListener(each, settle);
        resolve();
      };
      for (const each of names) video.addEventListener(each, settle);
    });
  }

  // One <video> and its frames, which are counted from 0.
  class Track {
    constructor(video, { src, fps, frames }) {
      Object.assign(this, { video, fps, frames, closed: false, number: null });
      video.src = src;
      if (video.requestVideoFrameCallback) this.#listen();
    }

    #listen() {
      this.video.requestVideoFrameCallback((_, { mediaTime }) => {
        if (this.closed) return;
        this.number = this.frameAt(mediaTime + 0.5 / this.fps);
        this.#listen();
      });
    }

    // The frame on the screen.
    get shown() {
      return this.number ?? this.frameAt(this.video.currentTime);
    }

    // The middle of the last frame: beyond it a browser may call the video ended.
    get end() {
      return this.middle(this.frames - 1);
    }

    middle(frame) {
      return (frame + 0.5) / this.fps;
    }

    frameAt(time) {
      return Math.max(0, Math.min(this.frames - 1, Math.floor(time * this.fps + 1e-3)));
    }

    async seek(time) {
      if (this.video.readyState < 1) await happened(this.video, "loadedmetadata");
      this.video.currentTime = Math.min(time, this.end);
      while (this.video.seeking && !this.video.error) await happened(this.video, "seeked");
      if (!this.video.requestVideoFrameCallback) this.number = null;
      else if (this.video.paused) this.number = this.frameAt(this.video.currentTime);
    }

    close() {
      this.closed = true;
      this.video.pause();
      this.video.removeAttribute("src");
      this.video.load(); // lets go of the file
    }
  }

  // report() is called whenever frame, drift or playing may have changed.
  class Clock {
    #pending = null; // frame asked for and not yet set out for
    #seeking = null; // promise of the seek under way
    #ticking = false;
    #from = 0; // frame on which playing began
    #arriving = null; // a follower that has not found its place yet
    #lead = 0; // seconds a jump of the follower takes, as last measured
    #events = new AbortController();

    constructor(video, facts, report) {
      Object.assign(this, { report, follower: null, playing: false, loop: false, rate: 1 });
      this.goal = 0; // frame to stand on while not playing
      this.master = new Track(video, facts);
      video.addEventListener("ended", () => this.#finish(), { signal: this.#events.signal });
    }

    get frame() {
      return this.playing && !this.#seeking ? this.master.shown : this.goal;
    }

    // Frames by which the follower is ahead of the frame that belongs beside the master's.
    get drift() {
      if (!this.follower) return 0;
      const { master, follower } = this;
      return follower.shown - follower.frameAt(master.middle(master.shown));
    }

    // Resolves to true when the follower stands beside the master, which nothing has disturbed,
    // to false where it cannot be played, and to null where it has been detached meanwhile.
    async attach(video, facts) {
      this.detach();
      const follower = new Track(video, facts);
      this.#arriving = follower;
      await follower.seek(this.master.video.currentTime);
      if (follower.closed) return null;
      this.#arriving = null;
      if (video.error) {
        follower.close();
        return false;
      }
      this.follower = follower;
      if (!this.playing) await this.seek(this.goal);
      return follower.closed ? null : true;
    }

    detach() {
      (this.follower ?? this.#arriving)?.close();
      this.follower = this.#arriving = null;
    }

    close() {
      this.playing = false;
      this.#events.abort();
      this.detach();
      this.master.close();
    }

    setRate(rate) {
      this.rate = rate;
      this.master.video.playbackRate = rate;
      if (this.follower) this.follower.video.playbackRate = rate;
    }

    async play() {
      if (this.playing) return;
      const again = this.goal >= this.master.frames - 1;
      this.playing = true;
      if (again || this.#seeking) await this.seek(again ? 0 : this.goal);
      else await this.#start();
    }

    async pause() {
      if (!this.playing) return;
      this.goal = this.frame;
      this.playing = false;
      await this.seek(this.goal);
    }

    // Many seeks come while a slider is dragged: each sets out when the last has arrived.
    seek(frame) {
      this.goal = Math.max(0, Math.min(this.master.frames - 1, Math.round(frame)));
      this.#pending = this.goal;
      this.#seeking ??= this.#seekAll();
      return this.#seeking;
    }

    // Halts, and shows the frame that is `count` frames further on.
    step(count) {
      const from = this.frame;
      this.playing = false;
      return this.seek(from + count);
    }

    async #seekAll() {
      for (const { video } of this.#tracks) video.pause();
      while (this.#pending !== null) {
        const time = this.master.middle(this.#pending);
        this.#pending = null;
        this.report();
        await Promise.all(this.#tracks.map((track) => track.seek(time)));
      }
      this.#seeking = null;
      this.report();
      if (this.playing) await this.#start();
    }

    get #tracks() {
      return this.follower ? [this.master, this.follower] : [this.master];
    }

    async #start() {
      this.setRate(this.rate);
      this.#from = this.master.shown;
      this.report();
      try {
        await this.master.video.play();
      } catch (error) {
        if (error.name === "AbortError") return; // paused again before it began
        this.playing = false; // the browser allows it only after a click
        this.report();
        if (error.name !== "NotAllowedError") throw error;
      }
      if (!this.#ticking) this.#tick();
    }

    #tick() {
      this.#ticking = this.playing && this.master.video.isConnected;
      if (!this.#ticking) return;
      if (this.follower && !this.#seeking) this.#correct(this.master.video, this.follower);
      this.report();
      requestAnimationFrame(() => this.#tick());
    }

    #correct(master, follower) {
      const { video } = follower;
      if (video.seeking || video.readyState < 2) return;
      const over = master.currentTime >= follower.end;
      const ahead = video.currentTime - Math.min(master.currentTime, follower.end);
      if (Math.abs(ahead) * follower.fps > JUMP) {
        this.#jump(master, follower);
      } else if (over || master.paused || master.readyState < 3 || ahead * follower.fps > BRAKE) {
        video.pause();
      } else if (video.paused) {
        // not before the master has moved: opening the sound takes a while
        if (ahead < 0 && this.master.shown !== this.#from) video.play().catch(ignoreAbort);
      } else {
        const factor = 1 - ahead / (CATCH_UP * this.rate);
        const rate = this.rate * Math.max(SLOWEST, Math.min(FASTEST, factor));
        if (Math.abs(video.playbackRate - rate) > 0.01 * this.rate) video.playbackRate = rate;
      }
    }

    async #jump(master, follower) {
      await follower.seek(master.currentTime + this.#lead * this.rate);
      const late = (master.currentTime - follower.video.currentTime) / this.rate;
      if (!this.playing || this.#seeking) return; // seconds measured while halted mean nothing
      this.#lead = Math.max(0, Math.min(LONGEST_LEAD, this.#lead + late));
    }

    #finish() {
      if (!this.playing) return;
      this.playing = this.loop;
      this.seek(this.loop ? 0 : this.master.frames - 1);
    }
  }

  function ignoreAbort(error) {
    if (error.name !== "AbortError") throw error;
  }

  studio.PlayerClock = Clock;
})();
