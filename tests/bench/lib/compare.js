'use strict';
// Programs side by side: rounds of the same measurement for each, and a table of what was found.
const processes = require('./process.js');
const { peers } = require('./peers.js');
const { rounds } = require('./rounds.js');
const { median, medianRatio, spread, bestOf } = require('./figures.js');
const { integer, ratio, milliseconds } = require('./table.js');

const latency = [['p50 ms', 'latency_p50_us', milliseconds], ['p99 ms', 'latency_p99_us', milliseconds]];
const ofHandshake = [['handshake p50 ms', 'handshake_p50_us', milliseconds], ['p99 ms', 'handshake_p99_us', milliseconds]];

// Connections that failed or were lost count for nothing in a rate: whoever has some is named.
function remarkOnLosses(report, found) {
  for (const [name, list] of found) {
    const sum = (field) => list.reduce((total, one) => total + (one[field] ?? 0), 0);
    const [failed, dropped] = [sum('failed'), sum('dropped')];
    if (failed + dropped === 0) continue;
    const { first_error: why } = list.find((one) => one.failed + one.dropped > 0);
    report.remark(`${peers[name].title}: ${integer(failed)} failed, ${integer(dropped)} lost in all rounds${why ? ` (${why})` : ''}`);
  }
}

// A table of `found`, Map of name -> findings by round, which are kept under `id`. What they are held against is nginx, or with
// `amongBest` the best of all but Tidegate and the plain relay. `key` is the rate; `unit` and `format` say of what; `extra` has
// [heading, field, format] of further columns.
function compare(report, found, { id, title, key, extra, amongBest = false, unit = 'per second', format = integer, cpu = 'proxy CPU us each' }) {
  const names = [...found.keys()];
  const values = (field) => Object.fromEntries(names.map((name) => [name, found.get(name).map((one) => one[field])]));
  const [rate, time] = [values(key), values('cpu_us')];
  const others = names.filter((name) => (amongBest ? name !== 'tidegate' && name !== 'raw' : name === 'nginx'));
  const [fastest, least] = [bestOf(rate, others, true), bestOf(time, others, false)];
  const of = (figures, name, base) => (base === null ? '-' : ratio(medianRatio(figures[name], figures[base])));
  const hasFloor = found.has('raw');
  const rows = names.map((name) => [
    peers[name].title,
    format(median(rate[name])), spread(rate[name]), of(rate, name, fastest), ...(hasFloor ? [of(rate, name, 'raw')] : []),
    median(time[name]).toFixed(2), spread(time[name]), of(time, name, least),
    ...extra.map(([, field, written]) => written(median(values(field)[name]))),
  ]);
  const [ofFastest, ofLeast] = amongBest ? ['of the fastest other', 'of the least other'] : ['of nginx', 'of nginx'];
  const head = ['', unit, 'spread', ofFastest, ...(hasFloor ? ['of plain relay'] : []), cpu, 'spread', ofLeast, ...extra.map(([name]) => name)];
  report.table(title, head, rows);
  remarkOnLosses(report, found);
  report.measure(id, found, [...new Set([key, 'cpu_us', ...extra.map(([, field]) => field)])]);
}

// Those of the peers that can take part, started with one worker each, measured by `measure(port)` in rounds, and compared.
// `hasHalfACore`: they share theirs with a second tenant, so that it is they who are measured where the load tester is slower.
async function sideBySide(stage, names, options, { what, connections, isSecure = false, hasHalfACore = false, extra = latency, ...how }, measure) {
  const started = [];
  for (const name of names.filter((n) => !isSecure || !peers[n].isBlind))
    started.push(await stage.start(name, 1, connections + 100, isSecure));
  const tenant = hasHalfACore ? stage.occupy() : null;
  const found = await rounds(started, options.rounds, what, ({ port }) => measure(port));
  if (tenant !== null) await processes.stop(tenant);
  for (const { child } of started) await processes.stop(child);
  compare(options.report, found, { extra, ...how });
}

module.exports = { compare, sideBySide, latency, ofHandshake };
