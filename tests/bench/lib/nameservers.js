'use strict';
// Name servers with the same zone, each with one thread for UDP and one for TCP, and as little else as it can do without.
const fs = require('node:fs');
const path = require('node:path');
const { program, write } = require('./files.js');

const ZONE = 'bench.example';
const HOSTS = 1000;
const TEXT = Array.from({ length: 4 }, (_, i) => String(i).repeat(220)); // 880 bytes: one answer that needs EDNS

const hosts = Array.from({ length: HOSTS }, (_, i) => ({
  name: `h${i}`, a: `192.0.2.${(i % 250) + 1}`, aaaa: `2001:db8::${(i + 1).toString(16)}`,
}));

// What is asked, by kind; one line is one query.
const queries = {
  A: hosts.map(({ name }) => `${name}.${ZONE} A`),
  AAAA: hosts.map(({ name }) => `${name}.${ZONE} AAAA`),
  NXDOMAIN: hosts.map(({ name }) => `no-${name}.${ZONE} A`),
  TXT: [`text.${ZONE} TXT`],
};
// Of twenty queries eleven find an address, four an IPv6 address, four nothing, and one a long text.
queries.mix = Array.from({ length: 20 * HOSTS }, (_, i) => {
  const kind = i % 20 < 11 ? 'A' : i % 20 < 15 ? 'AAAA' : i % 20 < 19 ? 'NXDOMAIN' : 'TXT';
  return queries[kind][(i * 7919) % queries[kind].length]; // in no order
});

const zoneText = () => [
  '$TTL 300', `@ SOA ns1.${ZONE}. hostmaster.${ZONE}. 1 3600 300 1209600 30`, `@ NS ns1.${ZONE}.`, `@ NS ns2.${ZONE}.`,
  'ns1 A 192.0.2.251', 'ns2 A 192.0.2.252', `text TXT ${TEXT.map((text) => `"${text}"`).join(' ')}`,
  ...hosts.flatMap(({ name, a, aaaa }) => [`${name} A ${a}`, `${name} AAAA ${aaaa}`]), '',
].join('\n');

const folder = (dir, name) => {
  const made = path.join(dir, name);
  fs.mkdirSync(made);
  return made;
};

// Like the commands of peers.js.
const nameservers = {
  gdnsd: ({ dir, port }) => {
    write(folder(dir, 'zones'), ZONE, zoneText());
    write(dir, 'config', `options => {
  listen => 127.0.0.1
  dns_port => ${port}
  udp_threads => 1
  tcp_threads => 1
  run_dir => ${folder(dir, 'run')}
  state_dir => ${folder(dir, 'state')}
}
`);
    return ['gdnsd', ['-c', dir, 'start']];
  },

  knot: ({ dir, port }) => {
    write(dir, 'zone', zoneText());
    const file = write(dir, 'knot.conf', `
server:
    rundir: ${dir}
    listen: 127.0.0.1@${port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: warning
database:
    storage: ${dir}
zone:
  - domain: ${ZONE}
    storage: ${dir}
    file: zone
    zonefile-sync: -1
`);
    return ['knotd', ['-c', file]];
  },

  tidegate: ({ dir, port }) => {
    const records = [
      { name: 'ns1', a: ['192.0.2.251'] },
      { name: 'ns2', a: ['192.0.2.252'] },
      { name: 'text', txt: [TEXT.join('')] },
      { name: 'steered', answers: [{ target: 'one', a: ['192.0.2.1'] }, { target: 'two', tier: 'backup', a: ['192.0.2.2'] }] },
      ...hosts.map(({ name, a, aaaa }) => ({ name, a: [a], aaaa: [aaaa] })),
    ];
    const check = { type: 'none', url: `tcp://127.0.0.1:${port}` }; // nobody has judged it: it is answered as one that stands
    const config = {
      node: { name: 'bench' },
      state_dir: '',
      control: { path: '' },
      log: { level: 'warn' },
      targets: { one: { check }, two: { check } },
      dns: {
        zone: ZONE, listen: [`127.0.0.1:${port}`], nameservers: [`ns1.${ZONE}`, `ns2.${ZONE}`], ttl: '300s', records,
        rate: { answers: 0, nxdomain: 0, errors: 0 }, // the others have no limit
      },
    };
    return [program('tidegate'), ['-c', write(dir, 'tidegate.yaml', JSON.stringify(config))]];
  },
};

module.exports = { ZONE, nameservers, queries };
