// The text that carries an object to a tutor: what it is, what is open, and how to answer.

import { page } from "lab/core/page.js";

export function handoff({ key, object, guide, question, kept, tutor, misconception }) {
  const lines = [
    `Object: ${object.title} (${guide.name.toLowerCase()})`,
    `Key: ${key}`,
    `Context: ${page.parts.shell.title}; part “${object.part}”.`,
    `Anchor: #${object.anchor}`,
    ...(misconception ? [`It is a misconception: ${misconception.but.replaceAll("*", "")}`, `Refuted by: ${misconception.state}`] : []),
    ...(object.config ? state(object) : []),
    `Open question: ${question}`,
    `Evidence: ${guide.evidence}`,
    `What would resolve it: ${guide.resolve}`,
    ...(kept.note ? [`My note: ${kept.note}`] : []),
    ...(kept.action ? [`My next action: ${kept.action}`] : []),
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
    `Seed: ${config.seed}; step: ${step}`,
    `Metrics: ${metrics.map(([name, value]) => `${name}=${Number(value).toPrecision(4)}`).join(", ")}`,
    `Regime: ${sentence ?? ""}`,
  ];
}
