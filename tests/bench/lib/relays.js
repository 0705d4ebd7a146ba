'use strict';
// WebSockets that are passed on, by who does not look into them: small messages and large ones, new connections, added latency.
const processes = require('./process.js');
const { sideBySide, ofHandshake, latency: latencies } = require('./compare.js');
const { peers } = require('./peers.js');
const { rounds } = require('./rounds.js');
const { median, spread } = require('./figures.js');
const { integer } = require('./table.js');

const CONNECTIONS = 500;
const BYTES = 128;
const LARGE = [
  { id: '16k', what: '16 KiB', bytes: 16384, connections: 50 },
  { id: '1m', what: '1 MiB', bytes: 1048576, connections: 8 },
];

const echoes = (options) => ['--connections', CONNECTIONS, '--size', BYTES, '--warm-up', 1, '--seconds', options.seconds];

async function echo(stage, names, options) {
  const title = `WebSocket echo, ${BYTES} bytes, ${CONNECTIONS} connections with one message in flight each, one worker: round trips`;
  const how = { id: 'echo', what: 'echo', title, connections: CONNECTIONS, key: 'round_trips_per_second' };
  await sideBySide(stage, names, options, how, (port) => stage.load(port, echoes(options)));
}

async function wss(stage, names, options) {
  const title = `The same echo over TLS 1.3 (wss), ${CONNECTIONS} connections, one worker: round trips`;
  const how = { id: 'wss', what: 'wss', title, connections: CONNECTIONS, isSecure: true, key: 'round_trips_per_second' };
  await sideBySide(stage, names, options, how, (port) => stage.load(port, ['--tls', ...echoes(options)]));
}

// Of a round trip the proxy moves the message twice: there, and back.
async function large(stage, names, options) {
  for (const isSecure of [false, true]) {
    for (const { id, what, bytes, connections } of LARGE) {
      const hasHalfACore = isSecure && bytes > 1e6;
      const worker = `one worker${hasHalfACore ? ' with half a core' : ''}`;
      const title = `WebSocket echo, messages of ${what}${isSecure ? ' over TLS 1.3' : ''}, ${connections} connections with one in flight each, ${worker}: megabytes relayed, both ways`;
      const how = {
        id: `large-${id}${isSecure ? '-tls' : ''}`, what: `large, ${what}${isSecure ? ', TLS' : ''}`, title, connections, isSecure, hasHalfACore, key: 'megabytes_per_second',
        unit: 'MB/s', cpu: 'proxy CPU us per MB', amongBest: true, extra: latencies,
      };
      const megabytes = (2 * bytes) / 1e6;
      await sideBySide(stage, names, options, how, async (port) => {
        const args = ['--connections', connections, '--size', bytes, '--warm-up', 1, '--seconds', options.seconds];
        const result = await stage.load(port, [...(isSecure ? ['--tls'] : []), ...args]);
        return { ...result, megabytes_per_second: result.round_trips_per_second * megabytes, units_per_echo: megabytes };
      });
    }
  }
}

const churnOf = (stage, options, more) => (port) =>
  stage.load(port, ['--mode', 'churn', '--connections', 100, '--sources', 20, '--seconds', options.seconds, ...more]);

async function churn(stage, names, options) {
  const title = 'WebSocket connections: opened, one message, closed with the closing handshake; 100 at a time, one worker';
  const how = { id: 'churn', what: 'churn', title, connections: 2000, key: 'cycles_per_second', extra: ofHandshake };
  await sideBySide(stage, names, options, how, churnOf(stage, options, []));
}

async function secureChurn(stage, names, options) {
  for (const [kind, more] of [['full', []], ['resumed', ['--resume']]]) {
    const hasHalfACore = kind === 'full';
    const worker = `one worker${hasHalfACore ? ' with half a core' : ''}`;
    const title = `WebSocket connections over TLS 1.3 with a ${kind} handshake (ECDSA P-256): opened, one message, closed; 100 at a time, ${worker}`;
    const extra = [...ofHandshake, ['resumed', 'resumed_share', (share) => `${Math.round(100 * share)} %`]];
    const how = { id: `churn-${kind}`, what: `wschurn, ${kind}`, title, connections: 2000, isSecure: true, hasHalfACore, key: 'cycles_per_second', extra };
    const measure = churnOf(stage, options, ['--tls', ...more]);
    await sideBySide(stage, names, options, how, async (port) => {
      const result = await measure(port);
      return { ...result, resumed_share: result.resumed / result.opened };
    });
  }
}

const SATURATIONS = 5; // looked for so often: the rate of all that is measured hangs on it

// What a message takes longer for a proxy's being there: all at one rate, half of what saturates nginx on this machine in this
// minute, and beside them the same load without a proxy. Who is saturated by that rate shows it.
async function latency(stage, names, options) {
  const reference = names.includes('nginx') ? 'nginx' : names[0];
  const started = [{ name: 'direct', port: stage.backend, child: stage.server }];
  for (const name of names) started.push(await stage.start(name, 1, CONNECTIONS + 100));
  const { port } = started.find(({ name }) => name === reference);
  const saturations = [];
  for (let i = 0; i < SATURATIONS; i++) saturations.push((await stage.load(port, echoes(options))).round_trips_per_second);
  const pace = Math.round(median(saturations) / 2);
  const found = await rounds(started, options.rounds, 'latency', (peer) => stage.load(peer.port, [...echoes(options), '--pace', pace]));
  for (const { child } of started.slice(1)) await processes.stop(child);

  const direct = found.get('direct');
  for (const list of found.values()) {
    for (const [i, one] of list.entries()) {
      for (const part of ['p50', 'p99']) one[`added_${part}_us`] = one[`latency_${part}_us`] - direct[i][`latency_${part}_us`];
    }
  }
  const values = (name, field) => found.get(name).map((one) => one[field]);
  const written = (name, field) => [integer(median(values(name, field))), spread(values(name, field))];
  const part = (name, which) => [integer(median(values(name, `latency_${which}_us`))), ...(name === 'direct' ? ['-', '-'] : written(name, `added_${which}_us`))];
  options.report.table(
    `Added latency: WebSocket echo, ${BYTES} bytes, ${CONNECTIONS} connections, ${integer(pace)} messages a second (half of what saturates ${peers[reference].title}), one worker; microseconds`,
    ['', 'per second', 'proxy CPU us each', 'p50', 'of which added', 'spread', 'p99', 'of which added', 'spread'],
    [...found.keys()].map((name) => [
      name === 'direct' ? 'no proxy' : peers[name].title, integer(median(values(name, 'round_trips_per_second'))),
      name === 'direct' ? '-' : median(values(name, 'cpu_us')).toFixed(2), ...part(name, 'p50'), ...part(name, 'p99'),
    ]),
  );
  options.report.measure('latency', found, ['round_trips_per_second', 'cpu_us', 'latency_p50_us', 'latency_p99_us', 'added_p50_us', 'added_p99_us']);
}

module.exports = { echo, wss, large, churn, secureChurn, latency };
