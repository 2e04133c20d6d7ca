// The source that talks to the server of this page; see source.js for its shape and _protocol.py for the messages.

import { batch, signal } from "@preact/signals";
import { readFrame } from "lab/core/frame.js";
import { FINAL, LARGEST_MESSAGE, VERSION } from "lab/core/protocol.js";
import { bringsToken, takeToken } from "lab/core/token.js";

const RETRY = [500, 1000, 2000, 4000, 8000];

export function create() {
  const status = signal("connecting");
  const cells = signal(false);
  const library = signal("");
  const words = signal("");
  const tasks = new Map();
  let run = null;
  let socket = null;
  let attempts = 0;
  let retry = 0;
  let numbered = 0;

  const send = (message) => status.value === "ready" && socket.send(JSON.stringify(message));

  function connect() {
    clearTimeout(retry);
    retry = 0;
    status.value = "connecting";
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const mine = new WebSocket(`${scheme}//${location.host}/lab`);
    socket = mine;
    mine.binaryType = "arraybuffer";
    mine.onopen = () => mine.send(JSON.stringify({ type: "hello", token: takeToken(), version: VERSION }));
    mine.onmessage = ({ data }) => {
      if (mine === socket) typeof data === "string" ? receive(JSON.parse(data)) : receiveFrame(data);
    };
    mine.onclose = (event) => mine === socket && lost(event);
  }

  function lost({ code, reason }) {
    const last = FINAL.includes(code);
    batch(() => {
      status.value = "disconnected";
      words.value = reason || "Disconnected. The server does not answer; this page tries again by itself. Start the server if it has stopped.";
    });
    run?.setPhase("disconnected", words.value);
    for (const task of tasks.values()) task.fail("The connection to the server was lost. Try again when it is back.");
    tasks.clear();
    if (last) return;
    retry = setTimeout(connect, RETRY[Math.min(attempts++, RETRY.length - 1)]);
  }

  const receivers = {
    welcome(message) {
      attempts = 0;
      batch(() => {
        cells.value = message.cells;
        library.value = message.library;
        words.value = "";
        status.value = "ready";
      });
      run?.reopen();
      for (const task of tasks.values()) task.begin();
    },
    opened: (message) => current(message)?.opened(message),
    phase: (message) => current(message)?.setPhase(message.phase, message.text),
    progress(message) {
      const task = tasks.get(message.task);
      if (task) task.progress.value = message;
    },
    result(message) {
      tasks.get(message.task)?.succeed(message.value);
      tasks.delete(message.task);
    },
    failed(message) {
      if (message.task === 0) return current(message)?.setPhase("failed", message.text);
      tasks.get(message.task)?.fail(message.text);
      tasks.delete(message.task);
    },
  };

  const receive = (message) => receivers[message.type]?.(message);
  const current = (message) => (run?.number === message.run ? run : null);

  function receiveFrame(data) {
    const frame = readFrame(data);
    const mine = current(frame);
    if (!mine) return;
    mine.show(frame);
    // Acknowledged once it has been drawn, so that a slow page is not flooded.
    requestAnimationFrame(() => send({ type: "ack", run: frame.run, frame: frame.frame }));
  }

  function open(config, { play = true, pace = 0 } = {}) {
    run = liveRun(++numbered, config, play, pace, send, () => ++numbered);
    run.reopen(run.number);
    return run;
  }

  function task(kind, payload) {
    const number = ++numbered;
    const progress = signal(null);
    let succeed, reject;
    const result = new Promise((resolve, refuse) => ([succeed, reject] = [resolve, refuse]));
    const fail = (text) => reject(new Error(text));
    const message = { type: "start", task: number, kind, payload };
    const begin = () => send(message);
    const length = JSON.stringify(message).length;
    if (length > LARGEST_MESSAGE) {
      fail(`This is ${length} characters long; the server reads at most ${LARGEST_MESSAGE}. Shorten it.`);
    } else if (status.value === "disconnected") {
      fail(`There is no connection to the server now. ${words.value}`);
    } else {
      // While the page connects, the task waits; `welcome` begins it.
      tasks.set(number, { progress, succeed, fail, begin });
      begin();
    }
    const cancel = () => {
      if (status.value === "ready") return send({ type: "cancel", task: number });
      tasks.delete(number);
      fail("Stopped.");
    };
    return { progress, result, cancel };
  }

  // Somebody who looks at the page again, or whose network is back, does not wait for the next attempt.
  const hurry = () => retry && document.visibilityState === "visible" && connect();
  addEventListener("online", hurry);
  document.addEventListener("visibilitychange", hurry);
  // The address of another server that was opened in this tab does not load the page anew.
  addEventListener("hashchange", () => bringsToken() && connect());

  connect();
  return { status, words, cells, library, open, task };
}

function liveRun(number, asked, play, pace, send, next) {
  const config = signal(null);
  const changes = signal([]);
  const phase = signal({ name: "connecting", text: "Connecting." });
  const opening = signal(null);
  const frame = signal(null);
  const run = {
    number,
    config,
    changes,
    phase,
    opening,
    frame,
    setPhase: (name, text) => (phase.value = { name, text }),
    opened(message) {
      config.value = message.config;
      changes.value = message.changes;
    },
    show(next) {
      batch(() => {
        if (next.opening) opening.value = next;
        frame.value = next;
      });
    },
    // After a lost connection the same state starts anew, under a new number.
    reopen(as = next()) {
      run.number = as;
      send({ type: "open", run: as, config: asked, play, pace });
    },
    play: () => ((play = true), send({ type: "play", run: run.number })),
    pause: () => ((play = false), send({ type: "pause", run: run.number })),
    step: (steps = 1) => ((play = false), send({ type: "step", run: run.number, steps })),
    rewind: () => ((play = false), send({ type: "rewind", run: run.number })),
    pace: (steps) => ((pace = steps), send({ type: "pace", run: run.number, steps })),
  };
  return run;
}
