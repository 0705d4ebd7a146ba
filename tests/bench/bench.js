'use strict';
// The benchmarks. Rounds are interleaved - every program once, then every program again - so that whatever else the machine
// does hits all of them alike; what is shown are medians of the rounds, and how far the rounds were apart.
const os = require('node:os');
const { execFileSync } = require('node:child_process');
const { parseArgs } = require('node:util');
const { Stage } = require('./lib/stage.js');
const { program } = require('./lib/files.js');
const { peers, isThere } = require('./lib/peers.js');
const { Report } = require('./lib/report.js');
const results = require('./lib/results.js');
const { targetsText } = require('./lib/targets.js');
const { versionsOf, tidegateVersion, machine } = require('./lib/versions.js');
const { echo, wss, large, churn, secureChurn, latency } = require('./lib/relays.js');
const { http, https, h2 } = require('./lib/requests.js');
const { memory, many, growth } = require('./lib/memory.js');
const { cache, stale } = require('./lib/cached.js');
const { dns } = require('./lib/answers.js');
const { failover } = require('./lib/failover.js');
const { sessions, sessionMemory } = require('./lib/sessions.js');
const { sessionFailover } = require('./lib/session_failover.js');
const { scenarios } = require('./lib/scenarios.js');
const { soak } = require('./soak.js');

const DEFAULTS = { rounds: '5', seconds: '1' };
const QUICK = { rounds: '1', seconds: '1' };
const QUIET_LOAD = 0.5;
const PATIENCE = 1.5; // so many times what was announced, and no further benchmark begins

// Hit ratios of made-up traces; there is no clock in it, so one round is as good as many.
async function hitRatio(stage, names, { report }) {
  const lines = execFileSync(program('tidegate-ratio'), { encoding: 'utf8' }).trim().split('\n');
  const [head, , ...rows] = lines.map((line) => line.split('|').slice(1, -1).map((cell) => cell.trim()));
  report.table('Hit ratio beside LRU: made-up traces, L1 and plain LRU bounded to a part of the bytes of all answers', head, rows);
}

// Who takes part (the property a peer must have; `own`: Tidegate alone), what else has a version worth telling, and about how many seconds it takes
// with `n` programs, `r` rounds and `s` seconds each: a round of one program is its seconds, one of warming up, and starting.
const row = (name, group, title, part, tools, run, cost) => ({ name, group, title, part, tools, run, cost });
// Of Tidegate alone, and long: run when named, or with `all`.
const alone = (...columns) => ({ ...row(...columns), isAlone: true });
const RELAYING = 'Relaying WebSockets';
const REQUESTS = 'Passing requests on';
const CACHING = 'Answers from the cache';
const NAMES = 'DNS';
const SESSIONS = 'Sessions that outlive their servers';
const catalogue = [
  row('echo', RELAYING, 'Small messages', 'command', [], echo, (n, r, s) => n * r * (s + 1.5)),
  row('wss', RELAYING, 'Small messages over TLS', 'command', ['OpenSSL'], wss, (n, r, s) => n * r * (s + 1.5)),
  row('large', RELAYING, 'Large messages', 'command', ['OpenSSL'], large, (n, r, s) => 4 * n * r * (s + 1.5)),
  row('churn', RELAYING, 'New connections', 'command', [], churn, (n, r, s) => n * r * (s + 0.5)),
  row('wschurn', RELAYING, 'New connections over TLS', 'command', ['OpenSSL'], secureChurn, (n, r, s) => 2 * n * r * (s + 0.5)),
  row('latency', RELAYING, 'Added latency', 'command', [], latency, (n, r, s) => s + (n + 1) * r * (s + 1.5)),
  row('growth', RELAYING, 'Growth', 'command', [], growth, (n, r, s) => n * r * (3 * (Math.max(2, s) + 4) + 4)),
  row('memory', RELAYING, 'Memory of idle connections', 'command', ['OpenSSL'], memory, (n, r) => 4 * n * Math.min(r, 3) * 6),
  row('many', RELAYING, 'Ten thousand at once', 'command', [], many, (n, r) => 2 * r * 3),
  row('http', REQUESTS, 'HTTP/1.1', 'command', [], http, (n, r, s) => 2 * n * r * (s + 1.5)),
  row('https', REQUESTS, 'HTTP/1.1 over TLS', 'command', ['OpenSSL'], https, (n, r, s) => 4 * n * r * (s + 1)),
  row('h2', REQUESTS, 'HTTP/2', 'command', ['OpenSSL', 'h2load'], h2, (n, r, s) => n * r * (s + 0.5)),
  row('cache', CACHING, 'Hits', 'cache', ['OpenSSL', 'h2load'], cache, (n, r, s) => 3 * n * r * (s + 1.5)),
  row('stale', CACHING, 'Stale hits', 'own', [], stale, (n, r, s) => 2 * r * (s + 1.5)),
  row('ratio', CACHING, 'Hit ratio beside LRU', 'own', [], hitRatio, () => 30),
  row('dns', NAMES, 'Answers', 'names', ['dnsperf'], dns, (n, r, s) => 7 * n * r * (s + 0.5)),
  alone('failover', NAMES, 'A region is lost, and DNS follows', 'own', ['Redis'], failover, (n, r) => 130 * r),
  row('sessions', SESSIONS, 'Messages', 'command', [], sessions, (n, r, s) => 2 * (n + 1) * r * (s + 1.5)),
  row('sessions-memory', SESSIONS, 'Memory', 'own', [], sessionMemory, (n, r) => 4 * Math.min(r, 3) * 6),
  alone('sessions-failover', SESSIONS, 'A region is lost', 'own', ['Redis'], sessionFailover, (n, r) => 2 * r * 11),
  alone('scenarios', SESSIONS, 'The loads of others', 'own', ['Redis'], scenarios, () => 500),
  alone('soak', SESSIONS, 'Minutes of chaos', 'own', [], soak, () => 60 * (Number(process.env.SOAK_MINUTES) || 3) + 30),
];

function parse() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: 'string' }, seconds: { type: 'string' }, peers: { type: 'string', default: Object.keys(peers).join(',') },
      quick: { type: 'boolean', default: false }, write: { type: 'boolean', default: false }, render: { type: 'boolean', default: false },
    },
  });
  const names = values.peers.split(',');
  const known = ['all', ...catalogue.map(({ name }) => name)];
  for (const name of [...positionals.filter((b) => !known.includes(b)), ...names.filter((n) => !(n in peers))])
    throw new Error(`no such benchmark or peer: ${name}`);
  const number = (key) => {
    const value = Number(values[key] ?? (values.quick ? QUICK : DEFAULTS)[key]);
    if (!(value >= 1)) throw new Error(`--${key} takes a number from 1 on`);
    return value;
  };
  return {
    chosen: catalogue.filter(({ name, isAlone = false }) =>
      positionals.includes('all') || positionals.includes(name) || (positionals.length === 0 && !isAlone)),
    names, rounds: number('rounds'), seconds: number('seconds'), isQuick: values.quick, writes: values.write, onlyRenders: values.render,
  };
}

// As somebody would type it to measure this section again.
const commandOf = ({ name }, { rounds, seconds, names }) => [
  ...Object.keys(process.env).filter((key) => name === 'soak' && key.startsWith('SOAK_')).map((key) => `${key}=${process.env[key]}`),
  'tests/bench/run', name, `--rounds ${rounds} --seconds ${seconds}`,
  ...(names.length < Object.keys(peers).length ? [`--peers ${names.join(',')}`] : []),
].join(' ');

const partOf = ({ part }, names) => names.filter((name) => isThere(name) && (part === 'own' ? name === 'tidegate' : part in peers[name]));

function announce({ chosen, names, rounds, seconds }) {
  for (const name of names.filter((n) => !isThere(n))) console.error(`${name} is not built and is left out`);
  const cost = chosen.reduce((sum, one) => sum + one.cost(partOf(one, names).length, rounds, seconds), 0);
  console.error(`bench: ${chosen.length} benchmarks, ${rounds} rounds of ${seconds} s: about ${Math.ceil(cost / 60)} minutes`);
  if (os.loadavg()[0] > QUIET_LOAD) console.error(`bench: the machine has other work (load ${os.loadavg()[0].toFixed(1)}): rates say little, processor times a bit more`);
  return cost;
}

async function runOne(stage, one, options, facts) {
  const those = partOf(one, options.names);
  const versions = [`Tidegate ${facts.tidegate}`, ...versionsOf([...those.map((name) => peers[name].title), ...one.tools, 'gcc'])];
  const report = new Report({
    name: one.name, command: commandOf(one, options), date: new Date().toISOString().slice(0, 10), rounds: options.rounds, seconds: options.seconds,
    machine: facts.machine, load: facts.load, coreShare: await stage.coreShare(), versions,
  });
  console.log(`\n## ${one.title} (${one.name})`);
  await one.run(stage, those, { rounds: options.rounds, seconds: options.seconds, isQuick: options.isQuick, report });
  return report.section;
}

async function runAll(stage, options, facts) {
  const deadline = Date.now() + PATIENCE * 1000 * announce(options) + 60000;
  const [failures, measures] = [[], {}];
  for (const one of options.chosen) {
    if (Date.now() > deadline) {
      failures.push(`${one.name}: not begun, the others took too long`);
      continue;
    }
    try {
      const section = await runOne(stage, one, options, facts);
      Object.assign(measures, section.measures);
      if (!options.writes) continue;
      results.save(section);
      results.write(catalogue); // at once: what was measured stays, whatever becomes of the rest
    } catch (error) {
      if (stage.isClosed) break; // somebody stopped it
      failures.push(`${one.name}: ${error.message}`);
      console.error(`bench: ${failures.at(-1)}`);
      await stage.clear();
    }
  }
  const text = stage.isClosed ? null : targetsText(measures, { onlyMeasured: true });
  if (text !== null) console.log(`\n## Targets\n\n${text}`);
  return failures;
}

async function main() {
  const options = parse();
  if (options.onlyRenders) return results.write(catalogue);
  if (os.cpus().length < 2) throw new Error('two cores are needed: one for the proxy, one for load and backend');
  const facts = { machine: machine(), load: os.loadavg()[0], tidegate: tidegateVersion() };
  console.log(`${facts.machine}, load ${facts.load.toFixed(1)}; Tidegate ${facts.tidegate}`);
  const stage = await Stage.open();
  const onSignal = () => stage.close().then(() => process.exit(130));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT']) process.on(signal, onSignal); // what was started has sessions of its own
  try {
    const failures = await runAll(stage, options, facts);
    for (const failure of failures) console.error(`bench: failed: ${failure}`);
    if (failures.length > 0) process.exitCode = 1;
  } finally {
    await stage.close();
  }
}

main().catch((error) => {
  console.error(`bench: ${error.message}`);
  process.exitCode = 1;
});
