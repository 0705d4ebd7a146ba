'use strict';
// How long a session hears nothing when the region behind it is lost. Two regions of one cluster; all sessions are on the first one, and somebody on the second goes on saying
// numbered things on a topic that all have joined. What was said after the loss can only come through the second.
const { setTimeout: pause } = require('node:timers/promises');
const processes = require('./process.js');
const { startRegions } = require('./regions.js');
const { median } = require('./figures.js');
const { integer } = require('./table.js');

const SESSIONS = 500;
const SAY_EVERY_MS = 25;
const AHEAD_MS = 50; // the listeners know before it happens
const RECOVER_MS = 6000;
const TOPIC = 'realtime:bench-0';

const nowNs = () => process.hrtime.bigint();

// Says numbered things on the topic until stop().
async function startSpeaker(port) {
  const WebSocket = require('../../scene/node_modules/ws');
  const socket = new WebSocket(`ws://127.0.0.1:${port}/socket/websocket?vsn=2.0.0`);
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  socket.on('message', () => {});
  const config = { broadcast: { ack: false, self: false }, presence: { enabled: false } };
  socket.send(JSON.stringify(['1', '1', TOPIC, 'phx_join', { config }]));
  let n = 0;
  const timer = setInterval(() => {
    const payload = `{"type":"broadcast","event":"tick","payload":{"n":${++n},"at":${nowNs()}}}`;
    socket.send(`["1",null,"${TOPIC}","broadcast",${payload}]`);
  }, SAY_EVERY_MS);
  return {
    stop() {
      clearInterval(timer);
      socket.terminate();
    },
  };
}

// When the gateway's checker says that the first region is down; milliseconds since `ns`.
function detection(gateway, ns) {
  return new Promise((resolve) => {
    gateway.child.stderr.on('data', (text) => {
      if (/server changed.*r0.*new=down/.test(String(text))) resolve(Number(nowNs() - ns) / 1e6);
    });
  });
}

async function lose(stage, signal) {
  const others = [];
  let speaker;
  try {
    const { regions, gateway } = await startRegions(stage, others);
    await pause(1500); // the regions have met, and the checks are calm
    speaker = await startSpeaker(regions[1].port);
    let detected;
    const result = await stage.listen(gateway.port, ['--connections', SESSIONS, '--channels', 1, '--path', '/socket/websocket?vsn=2.0.0'], async (say) => {
      await pause(1000 + 250 * Math.random());
      const mark = nowNs() + BigInt(AHEAD_MS * 1e6);
      say(`mark ${mark}`);
      await pause(AHEAD_MS - 2);
      while (nowNs() < mark);
      process.kill(regions[0].child.pid, signal);
      detected = Promise.race([detection(gateway, mark), pause(RECOVER_MS, NaN)]);
      await pause(RECOVER_MS);
    });
    return { ...result, detected_ms: await detected };
  } finally {
    speaker?.stop();
    for (const child of others) child.kill('SIGCONT');
    for (const child of others.reverse()) await processes.stop(child);
  }
}

async function sessionFailover(stage, names, { rounds, report }) {
  if (!names.includes('tidegate')) return;
  const rows = [];
  for (const [title, signal] of [['killed (SIGKILL)', 'SIGKILL'], ['paused (SIGSTOP)', 'SIGSTOP']]) {
    const found = [];
    for (let round = 0; round < rounds; round++) {
      found.push(await lose(stage, signal));
      const { first_error: error, awaiting } = found.at(-1);
      console.error(`sessions-failover, ${title}: round ${round + 1} of ${rounds}${error ? `: ${error}` : ''}${awaiting ? `: ${awaiting} never heard anything again` : ''}`);
    }
    const sum = (key) => found.reduce((total, r) => total + r[key], 0);
    const ms = (key) => found.map((r) => r[key] / 1000);
    const both = (values) => `${Math.round(median(values))} / ${Math.round(Math.max(...values))}`;
    const isSeen = signal === 'SIGSTOP'; // by the checks; of a kill the connections tell
    rows.push([
      title, Math.round(median(ms('latency_p50_us'))), Math.round(median(ms('latency_p99_us'))), Math.round(Math.max(...ms('latency_max_us'))),
      isSeen ? both(found.map((r) => r.detected_ms)) : '-',
      isSeen ? both(found.map((r) => r.latency_max_us / 1000 - r.detected_ms)) : '-',
      integer(sum('dropped')), integer(sum('refused')), integer(sum('again')), (sum('missing') / (SESSIONS * rounds)).toFixed(1), integer(sum('awaiting')),
    ]);
  }
  report.table(
    `A region with ${SESSIONS} sessions is lost: milliseconds from then to the first message through another one, of ${rounds} losses (one message every ${SAY_EVERY_MS} ms; checks every 250 ms)`,
    ['', 'p50', 'p99', 'longest', 'until checks know it', 'longest from then', 'closed', 'channels failed', 'heard twice', 'missed by each', 'never again'], rows,
  );
}

module.exports = { sessionFailover };
