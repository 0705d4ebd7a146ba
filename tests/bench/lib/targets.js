'use strict';
// What Tidegate is meant to reach beside its peers, held against what was measured. Pure: everything is computed from the
// figures of the rounds; why a target is missed is for people to say (reasons.js).
const { median, ratios, range, bestOf } = require('./figures.js');
const { markdown, integer } = require('./table.js');
const { reasons } = require('./reasons.js');

const RATE = 'round_trips_per_second';
const relays = ['nginx', 'haproxy', 'caddy'];
const titles = { raw: 'the plain relay', nginx: 'nginx', haproxy: 'HAProxy', caddy: 'Caddy', varnish: 'Varnish', gdnsd: 'gdnsd', knot: 'Knot' };

const two = (value) => value.toFixed(2);

// "met", "missed by 3 %" and the like. `limit` is the target for `middle`; `areMet` says of each round whether it was reached.
function verdict(isMet, middle, limit, areMet) {
  if (isMet) return { isMet, text: areMet.every(Boolean) ? 'met' : 'met, not in every round' };
  const percent = (100 * Math.abs(middle - limit)) / limit;
  const by = !(limit > 0) ? '' : percent < 1 ? ' by less than 1 %' : percent > 100 ? `: ${(middle / limit).toFixed(1)} times as much` : ` by ${Math.round(percent)} %`;
  return { isMet, text: `missed${by}${areMet.some(Boolean) ? ', met in some rounds' : ''}` };
}

// Tidegate's figures over those of the best of `of`, round by round; null when one side was not measured.
function besideBest(measures, { measure, field, of, isMoreBetter, own = 'tidegate' }) {
  const found = measures[measure] ?? {};
  const there = of.filter((name) => name in found);
  if (!(own in found) || there.length === 0) return null;
  const figures = Object.fromEntries(there.map((name) => [name, found[name][field]]));
  const best = bestOf(figures, there, isMoreBetter);
  return { best, mine: found[own][field], theirs: figures[best], perRound: ratios(found[own][field], figures[best]) };
}

// A rate of at least `times` that of the best of `of`; beside it the processor time, of which less is better.
const atLeast = (id, work, measure, { times = 1, of = relays, field = RATE, own, name = of.length > 1 ? 'the best peer' : titles[of[0]] }) => ({
  id, work, target: `at least ${times === 1 ? '' : `${times} x `}${name}`,
  judge: (measures) => {
    const rate = besideBest(measures, { measure, field, of, own, isMoreBetter: true });
    if (rate === null) return null;
    const cpu = besideBest(measures, { measure, field: 'cpu_us', of, own, isMoreBetter: false });
    const middle = median(rate.perRound);
    return {
      found: `${two(middle)} x ${titles[rate.best]}`, rounds: range(rate.perRound, two),
      cpu: `${two(median(cpu.perRound))} x ${titles[cpu.best]}`,
      ...verdict(middle >= times, middle, times, rate.perRound.map((one) => one >= times)),
    };
  },
});

// At most what the best of `of` takes, of something that costs.
const atMost = (id, work, measure, { field, of = relays, unit, write = integer }) => ({
  id, work, target: 'at most the best peer',
  judge: (measures) => {
    const cost = besideBest(measures, { measure, field, of, isMoreBetter: false });
    if (cost === null) return null;
    const [mine, theirs] = [median(cost.mine), median(cost.theirs)];
    return {
      found: `${write(mine)} ${unit}; ${titles[cost.best]} ${write(theirs)}`, rounds: range(cost.mine, write), cpu: '-',
      ...verdict(mine <= theirs, mine, theirs, cost.mine.map((one, i) => one <= cost.theirs[i])),
    };
  },
});

// At most so much, whatever others need. `values(measures)`: by round, or null.
const atMostNumber = (id, work, target, limit, values, write) => ({
  id, work, target,
  judge: (measures) => {
    const each = values(measures);
    if (each === null) return null;
    const middle = median(each);
    return { found: write(middle), rounds: range(each, write), cpu: '-', ...verdict(middle <= limit, middle, limit, each.map((one) => one <= limit)) };
  },
});

// How much more something costs with more connections than with `from`, by round, at its dearest; null when it was not measured.
function growth(own, field, from) {
  if (own === undefined) return null;
  const counts = Object.keys(own).filter((key) => key.startsWith(`${field}_`)).map((key) => Number(key.slice(field.length + 1)));
  const more = counts.filter((count) => count > from);
  if (!counts.includes(from) || more.length === 0) return null;
  return own[`${field}_${from}`].map((few, i) => Math.max(...more.map((count) => own[`${field}_${count}`][i] / few)));
}

// Growth has a floor too: what the kernel's sockets take is in nobody's hand.
const grewAtMost = (id, work, limit, field, from, floor) => ({
  id, work, target: `at most ${limit} x`,
  judge: (measures) => {
    const each = growth(measures.growth?.tidegate, field, from);
    if (each === null) return null;
    const middle = median(each);
    const least = floor === null ? null : growth(measures.growth[floor], field, from);
    const beside = least === null ? '' : `; ${titles[floor]} ${two(median(least))} x`;
    return { found: `${two(middle)} x${beside}`, rounds: range(each, two), cpu: '-', ...verdict(middle <= limit, middle, limit, each.map((one) => one <= limit)) };
  },
});

const NAMESERVERS = ['gdnsd', 'knot'];
const CACHES = ['nginx', 'haproxy', 'varnish'];
const small = 'opaque relay, 128 B ping-pong, 500 connections';

const targets = [
  atLeast('relay-nginx', small, 'echo', { times: 1.1, of: ['nginx'] }),
  atLeast('relay-raw', small, 'echo', { times: 0.93, of: ['raw'] }),
  atLeast('large-16k', 'opaque relay, messages of 16 KiB', 'large-16k', { field: 'megabytes_per_second' }),
  atLeast('large-1m', 'opaque relay, messages of 1 MiB', 'large-1m', { field: 'megabytes_per_second' }),
  atLeast('relay-tls', `${small}, TLS`, 'wss', {}),
  atLeast('large-16k-tls', 'messages of 16 KiB, TLS', 'large-16k-tls', { field: 'megabytes_per_second' }),
  atLeast('large-1m-tls', 'messages of 1 MiB, TLS', 'large-1m-tls', { field: 'megabytes_per_second' }),
  atLeast('session', 'Phoenix session relay, pushes that are answered', 'sessions', { times: 0.95, of: ['nginx'], own: 'session' }),
  atLeast('session-binary', 'Phoenix session relay, binary broadcasts', 'sessions-binary', { times: 0.95, of: ['nginx'], own: 'session' }),
  atLeast('churn', 'new WebSocket connections', 'churn', { field: 'cycles_per_second' }),
  atLeast('churn-full', 'new WebSocket connections, TLS, full handshake', 'churn-full', { field: 'cycles_per_second' }),
  atLeast('churn-resumed', 'new WebSocket connections, TLS, resumed', 'churn-resumed', { field: 'cycles_per_second' }),
  atMostNumber('memory', 'process memory per idle relayed connection', 'at most 1.5 KiB', 1536,
    (measures) => measures.memory?.tidegate?.each ?? null, (bytes) => `${(bytes / 1024).toFixed(2)} KiB`),
  atMost('memory-tls', 'process memory per idle relayed connection, TLS', 'memory-tls', { field: 'each', unit: 'KiB', write: (bytes) => (bytes / 1024).toFixed(2) }),
  ...[50, 500].map((n) => atLeast(`cache-${n}`, `cached hit, 1 KiB, HTTP/1.1 keep-alive, ${n} connections`, `cache-${n}`, { times: 1.2, of: CACHES })),
  atLeast('cache-h2', 'cached hit over HTTP/2', 'cache-h2', { of: CACHES }),
  ...[50, 500].map((n) => atLeast(`http-${n}`, `uncached proxying, HTTP/1.1, ${n} connections`, `http-${n}`, { of: ['nginx'] })),
  atLeast('h2', 'uncached proxying, HTTP/2', 'h2', { of: ['nginx'] }),
  ...[['dns-mix', 'DNS answers, the mix over UDP'], ['dns-tcp', 'DNS answers, the mix over TCP']].flatMap(([id, work]) => [
    atLeast(id, work, id, { of: NAMESERVERS }),
    atMost(`${id}-cpu`, `${work}: CPU time of each`, id, { field: 'cpu_us', of: NAMESERVERS, unit: 'us', write: two }),
  ]),
  ...['p50', 'p99'].map((part) => atMost(`latency-${part}`, `added latency at half of saturation, ${part}`, 'latency', { field: `added_${part}_us`, unit: 'us' })),
  grewAtMost('growth-cpu', 'CPU per message, 1,000 and 9,000 connections beside 100', 1.15, 'cpu_us', 100, 'raw'),
  grewAtMost('growth-memory', 'memory of each connection more, 5,000 to 9,000 beside 1,000 to 5,000', 1.15, 'each', 5000, null),
];

const unknown = { found: 'not measured', rounds: '-', cpu: '-', text: '-' };

// The table, and below it why each that was missed is missed; null when nothing of it was measured. `onlyMeasured` leaves out
// the rest.
function targetsText(measures, { because = reasons, onlyMeasured = false } = {}) {
  const all = targets.map((target) => ({ ...target, ...(target.judge(measures) ?? unknown) }));
  const judged = all.filter(({ found }) => !onlyMeasured || found !== unknown.found);
  if (judged.length === 0) return null;
  const rows = judged.map(({ work, target, found, rounds, cpu, text }) => [work, target, found, rounds, cpu, text]);
  const missed = judged.filter(({ isMet }) => isMet === false);
  const why = missed.map(({ id, work, target, text }) => `- ${work} (${target}): ${text}. ${because[id] ?? 'Why is not known yet.'}`);
  return [markdown(['work, one worker on one core', 'target', 'found', 'rounds', 'CPU time', 'result'], rows), ...(why.length > 0 ? [why.join('\n')] : [])].join('\n\n');
}

module.exports = { targetsText, targets };
