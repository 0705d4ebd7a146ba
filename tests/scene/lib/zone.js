// A zone with every type of record, and what is asked of it: the same table is held against raw bytes and against other people's tools.
'use strict';

const BIG = Array.from({ length: 20 }, (_, i) => `${String(i).padStart(3, '0')}-${'x'.repeat(96)}`); // 20 TXT records of 100 bytes: over 1232

const zoneDns = {
  zone: 'z.test',
  nameservers: ['ns1.z.test', 'ns2.z.test'],
  contact: 'dns.admin@z.test',
  ttl: '300s',
  negative_ttl: '30s',
  records: [
    {
      name: '@', a: ['192.0.2.1', '192.0.2.2'], aaaa: ['2001:db8::1'], mx: ['10 mail.z.test', '20 mail.example.net'],
      txt: ['v=spf1 -all', 'two "words"'], caa: ['0 issue "ca.example.net"', '0 iodef "mailto:dns@z.test"'], https: ['1 . alpn=h2,h3'],
    },
    { name: 'ns1', a: ['192.0.2.53'], aaaa: ['2001:db8::53'] },
    { name: 'ns2', a: ['192.0.2.54'] },
    { name: 'mail', a: ['192.0.2.25'] },
    { name: 'www', ttl: '60s', a: ['192.0.2.80', '192.0.2.81'], aaaa: ['2001:db8::80'] },
    { name: 'led', cname: 'www.z.test' },
    { name: 'twice', cname: 'led.z.test' },
    { name: 'away', cname: 'www.example.net' },
    { name: 'astray', cname: 'nothing.z.test' },
    { name: '_sip._tcp', srv: ['1 2 5060 mail.z.test'] },
    { name: '_dns.ns1', svcb: ['1 ns1.z.test alpn=dot port=853'] },
    { name: 'app', https: ['1 . alpn=h2,h3 port=8443 ipv4hint=192.0.2.80 ipv6hint=2001:db8::80', '2 www.z.test'] },
    { name: '*.wild', a: ['192.0.2.99'], txt: ['wild'] },
    { name: 'tame.wild', a: ['192.0.2.98'] },
    { name: 'deep.down.below', a: ['192.0.2.97'] },
    { name: 'child', ns: ['ns.child.z.test', 'ns.example.net'] },
    { name: 'ns.child', a: ['192.0.2.96'] },
    { name: 'big', txt: BIG },
  ],
};

const NOTHING = ['SOA'];
const glue = ['A 192.0.2.53', 'A 192.0.2.54', 'AAAA 2001:db8::53'];

// [what it shows, name, type, {rcode, answer: [type and data], ttl of the answers, authority: types, additional, isReferral}]
const zoneQuestions = [
  ['addresses', 'www', 'A', { answer: ['A 192.0.2.80', 'A 192.0.2.81'], ttl: 60 }],
  ['IPv6 addresses', 'www', 'AAAA', { answer: ['AAAA 2001:db8::80'], ttl: 60 }],
  ['addresses of the apex', '@', 'A', { answer: ['A 192.0.2.1', 'A 192.0.2.2'], ttl: 300 }],
  ['mail servers', '@', 'MX', { answer: ['MX 10 mail.z.test.', 'MX 20 mail.example.net.'], ttl: 300, additional: ['A 192.0.2.25'] }],
  ['texts', '@', 'TXT', { answer: ['TXT "two \\"words\\""', 'TXT "v=spf1 -all"'], ttl: 300 }],
  ['certificate authorities', '@', 'CAA', { answer: ['CAA 0 iodef "mailto:dns@z.test"', 'CAA 0 issue "ca.example.net"'], ttl: 300 }],
  ['name servers, with their addresses', '@', 'NS', { answer: ['NS ns1.z.test.', 'NS ns2.z.test.'], ttl: 300, additional: glue }],
  ['the start of authority', '@', 'SOA', { answer: [/^SOA ns1\.z\.test\. dns\\\.admin\.z\.test\. [1-9]\d* 3600 300 1209600 30$/] }],
  ['services', '_sip._tcp', 'SRV', { answer: ['SRV 1 2 5060 mail.z.test.'], ttl: 300, additional: ['A 192.0.2.25'] }],
  ['HTTPS', 'app', 'HTTPS', { answer: ['HTTPS 1 . alpn=h2,h3 port=8443 ipv4hint=192.0.2.80 ipv6hint=2001:db8::80', 'HTTPS 2 www.z.test.'] }],
  ['HTTPS at the apex', '@', 'HTTPS', { answer: ['HTTPS 1 . alpn=h2,h3'] }],
  ['SVCB', '_dns.ns1', 'SVCB', { answer: ['SVCB 1 ns1.z.test. alpn=dot port=853'], additional: ['A 192.0.2.53', 'AAAA 2001:db8::53'] }],
  ['an alias itself', 'led', 'CNAME', { answer: ['CNAME www.z.test.'], ttl: 300 }],
  ['an alias followed', 'led', 'A', { answer: ['CNAME www.z.test.', 'A 192.0.2.80', 'A 192.0.2.81'] }],
  ['an alias of an alias', 'twice', 'AAAA', { answer: ['CNAME led.z.test.', 'CNAME www.z.test.', 'AAAA 2001:db8::80'] }],
  ['an alias out of the zone', 'away', 'A', { answer: ['CNAME www.example.net.'] }],
  ['an alias of nothing', 'astray', 'A', { rcode: 'NXDOMAIN', answer: ['CNAME nothing.z.test.'], authority: NOTHING }],
  ['an alias without such data', 'led', 'MX', { answer: ['CNAME www.z.test.'], authority: NOTHING }],
  ['a wildcard', 'any.wild', 'A', { answer: ['A 192.0.2.99'] }],
  ['a wildcard, further down', 'a.b.c.wild', 'TXT', { answer: ['TXT "wild"'] }],
  ['a wildcard without such data', 'any.wild', 'AAAA', { answer: [], authority: NOTHING }],
  ['a name beside the wildcard', 'tame.wild', 'A', { answer: ['A 192.0.2.98'] }],
  ['a name beside the wildcard has not its data', 'tame.wild', 'TXT', { answer: [], authority: NOTHING }],
  ['below a name beside the wildcard', 'x.tame.wild', 'A', { rcode: 'NXDOMAIN', answer: [], authority: NOTHING }],
  ['a name between others', 'below', 'A', { answer: [], authority: NOTHING }],
  ['another one', 'down.below', 'A', { answer: [], authority: NOTHING }],
  ['no such data', 'www', 'MX', { answer: [], authority: NOTHING }],
  ['no such name', 'nothing', 'A', { rcode: 'NXDOMAIN', answer: [], authority: NOTHING }],
  ['a type nobody has heard of', 'www', 'TYPE65280', { answer: [], authority: NOTHING }],
  ['a delegated name', 'www.child', 'A', { isReferral: true, answer: [], authority: ['NS', 'NS'], additional: ['A 192.0.2.96'] }],
  ['the delegation itself', 'child', 'NS', { isReferral: true, answer: [], authority: ['NS', 'NS'], additional: ['A 192.0.2.96'] }],
  ['a name outside', 'www.example.org.', 'A', { rcode: 'REFUSED', answer: [] }],
  ['the zone above', 'test.', 'SOA', { rcode: 'REFUSED', answer: [] }],
].map(([what, name, type, expected]) => ({ what, name, type, rcode: 'NOERROR', authority: [], ...expected }));

module.exports = { BIG, zoneDns, zoneQuestions };
