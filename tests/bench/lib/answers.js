'use strict';
// Answers beside other name servers, one thread each with half a core: what each kind costs, and a mix of them.
const processes = require('./process.js');
const { compare } = require('./compare.js');
const { rounds } = require('./rounds.js');
const { ZONE, queries } = require('./nameservers.js');
const { median, medianRatio, spread } = require('./figures.js');
const { integer, ratio } = require('./table.js');

const kinds = [
  { id: 'dns-a', what: 'A: the addresses of 1,000 names', asked: 'A' },
  { id: 'dns-aaaa', what: 'AAAA', asked: 'AAAA' },
  { id: 'dns-nxdomain', what: 'NXDOMAIN', asked: 'NXDOMAIN' },
  { id: 'dns-txt', what: 'TXT of 880 bytes', asked: 'TXT' },
  { id: 'dns-mix', what: 'the mix: 55 % A, 20 % AAAA, 20 % NXDOMAIN, 5 % TXT', asked: 'mix' },
  { id: 'dns-tcp', what: 'the mix over TCP, 16 connections', asked: 'mix', isTcp: true },
];

async function dns(stage, names, options) {
  const started = [];
  for (const name of names) started.push(await stage.startNames(name));
  const tenant = stage.occupy();
  for (const { id, what, asked, isTcp = false } of kinds) {
    const found = await rounds(started, options.rounds, `dns, ${what}`, ({ port }) =>
      stage.loadNames(port, { queries: queries[asked], seconds: options.seconds, isTcp }));
    const how = { id, title: `DNS, ${what}; half a core`, key: 'round_trips_per_second', extra: [['bytes', 'answer_bytes', integer]] };
    compare(options.report, found, { ...how, amongBest: true, cpu: 'CPU us each' });
  }
  const own = started.filter(({ name }) => name === 'tidegate');
  for (const { child } of started.filter((each) => !own.includes(each))) await processes.stop(child);
  if (own.length > 0) await steeredBesideFixed(stage, own[0], options);
  await processes.stop(tenant);
  for (const { child } of own) await processes.stop(child);
}

// What it costs that a name follows the verdicts.
async function steeredBesideFixed(stage, { child, port }, options) {
  const asked = { 'fixed name': [`h7.${ZONE} A`], 'steered name': [`steered.${ZONE} A`] };
  const started = Object.keys(asked).map((name) => ({ name, child, port, queries: asked[name] }));
  const found = await rounds(started, options.rounds, 'dns, steered', (kind) =>
    stage.loadNames(port, { queries: kind.queries, seconds: options.seconds }));
  const values = (name, field) => found.get(name).map((r) => r[field]);
  const rows = Object.keys(asked).map((name) => [
    name, integer(median(values(name, 'round_trips_per_second'))), median(values(name, 'cpu_us')).toFixed(2), spread(values(name, 'cpu_us')),
    ratio(medianRatio(values(name, 'cpu_us'), values('fixed name', 'cpu_us'))),
  ]);
  options.report.table('DNS, Tidegate: A of a name whose answer follows the verdicts', ['', 'per second', 'CPU us each', 'spread', 'of fixed'], rows);
}

module.exports = { dns };
