'use strict';
// The load tester's scenarios: loads that users told of, with their figures, and what Tidegate makes of the same. Two regions of one
// cluster on this machine; load tester, regions and gateway share its cores as they like.
const { setTimeout: pause } = require('node:timers/promises');
const processes = require('./process.js');
const { program } = require('./files.js');
const { startRegions } = require('./regions.js');

const QUICK_SECONDS = 5;
const CALM_MS = 1500; // until the regions have met, and checks are calm
const LOSS_MS = 12000; // after the start: all are there, and the measured part has begun

// `more`: further arguments; `losesRegion`: the first region is killed in the midst of it.
const kinds = [
  { name: 'subscriptions' },
  { name: 'updates' },
  { name: 'fan-out', more: ['--queries', '/rest/v1/messages'] },
  { name: 'failover', losesRegion: true },
];

// The lines below "scenario NAME: SUMMARY" in the load tester's report: columns of fixed width.
function parseScenario(text, name) {
  const lines = text.split('\n');
  const at = lines.findIndex((line) => line.startsWith(`scenario ${name}: `));
  if (at < 0) return null;
  const rows = [];
  for (const line of lines.slice(at + 2)) {
    if (line.trim() === '') break;
    rows.push([line.slice(0, 26).trim(), line.slice(26, 39).trim(), line.slice(39).trim()]);
  }
  return { summary: lines[at].slice(`scenario ${name}: `.length), rows };
}

async function play(stage, { name, more = [], losesRegion = false }, length) {
  const others = [];
  try {
    const { regions, gateway } = await startRegions(stage, others);
    await pause(CALM_MS);
    const url = `ws://127.0.0.1:${gateway.port}/socket/websocket`;
    const child = processes.start(program('tidegate-bench'), [url, '--scenario', name, ...more, ...length]);
    const timer = losesRegion ? setTimeout(() => regions[0].child.kill('SIGKILL'), LOSS_MS) : null;
    let text = '';
    for await (const piece of child.stdout) text += piece;
    clearTimeout(timer);
    const { code } = await child.gone;
    const found = parseScenario(text, name);
    if (found === null) throw new Error(`scenario ${name}: no report, exit status ${code}\n${text}${child.errors}`);
    return found;
  } finally {
    for (const child of others.reverse()) await processes.stop(child);
  }
}

async function scenarios(stage, names, { report, isQuick }) {
  if (!names.includes('tidegate')) return;
  for (const kind of kinds) {
    const length = isQuick && !kind.losesRegion ? ['--seconds', QUICK_SECONDS] : [];
    const { summary, rows } = await play(stage, kind, length.map(String));
    report.table(`Scenario ${kind.name}: ${summary}`, ['', 'theirs', 'Tidegate'], rows);
  }
}

module.exports = { scenarios, parseScenario };
