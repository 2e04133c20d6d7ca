// The text that carries an object to a tutor: what it is, what is open, and how to answer.

import { page } from "lab/core/page.js";

export function handoff({ key, object, guide, inspect, text, tutor, misconception }) {
  const config = object.config ?? page.parts.demo.presets[key]?.config;
  const lines = [
    `Object: ${object.title} (${guide.name.toLowerCase()})`,
    `Key: ${key}`,
    `Context: ${page.parts.shell.title}; part “${object.part}”.`,
    `Anchor: #${object.anchor}`,
    ...(misconception ? [`It is a misconception: ${misconception.but.replaceAll("*", "")}`, `Refuted by: ${misconception.state}`] : []),
    ...(config ? state({ ...object, config }) : []),
    `Open question: ${text("question")}`,
    `Evidence: ${text("evidence")}`,
    ...inspect.map((one) => `- ${page.objects[one].title} (${one}, #${page.objects[one].anchor})`),
    `What would resolve it: ${text("resolve")}`,
    ...(text("note") ? [`My note: ${text("note")}`] : []),
    ...(text("action") ? [`My next action: ${text("action")}`] : []),
    "",
    tutor,
  ];
  return lines.join("\n");
}

function state({ config, step, numbers, sentence }) {
  const listed = Object.entries(config).map(([name, value]) => `${name}=${Array.isArray(value) ? `[${value}]` : value}`);
  const metrics = Object.entries(numbers ?? {}).filter(([, value]) => value !== null);
  return [
    `Parameters: ${listed.join(", ")}`,
    `Seed: ${config.seed}; ${step === undefined ? "not run yet (attach the state in the demo to carry its metrics)" : `step: ${step}`}`,
    ...(metrics.length ? [`Metrics: ${metrics.map(([name, value]) => `${name}=${Number(value).toPrecision(4)}`).join(", ")}`] : []),
    ...(sentence ? [`Regime: ${sentence}`] : []),
  ];
}
