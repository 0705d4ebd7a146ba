// Other people's resolvers: dig, kdig, drill and dnspython ask the same, and what they read in the answer is told in one form.
'use strict';

const { tool } = require('./tools');

const MS = 15000;
const SECTIONS = { ANSWER: 'answer', AUTHORITY: 'authority', ADDITIONAL: 'additional' };

// What dnspython is made to do: asks as the others do, and prints what it read as they do. All that is not a legal message it throws at.
const PYTHON = `
import sys, dns.edns, dns.flags, dns.message, dns.query, dns.rcode, dns.rdatatype
address, port, name, kind, tcp, bufsize = sys.argv[1:]
q = dns.message.make_query(name, kind, use_edns=0 if int(bufsize) else -1, payload=int(bufsize))
q.flags &= ~dns.flags.RD
ask = dns.query.tcp if tcp == "tcp" else dns.query.udp
try:
    r = ask(q, address, port=int(port), timeout=10)
except dns.message.Truncated as e:
    r = e.message()
print(";; ->>HEADER<<- opcode: QUERY, status: %s, id: %d" % (dns.rcode.to_text(r.rcode()), r.id))
print(";; flags: %s; QUERY: %d" % (dns.flags.to_text(r.flags).lower(), len(r.question)))
for title, section in (("ANSWER", r.answer), ("AUTHORITY", r.authority), ("ADDITIONAL", r.additional)):
    print(";; %s SECTION:" % title)
    for rrset in section:
        print(rrset.to_text())
`;

// The words of each: given {address, port, name, type, isTcp, bytes}; `bytes` 0: without EDNS.
const TOOLS = {
  dig: ({ address, port, name, type, isTcp, bytes }) => ['dig', [
    `@${address}`, '-p', port, '-q', name, '-t', type, '+norecurse', '+tries=1', '+time=10', '+ignore', '+nocookie', isTcp ? '+tcp' : '+notcp',
    ...(bytes ? ['+edns=0', `+bufsize=${bytes}`] : ['+noedns']),
  ]],
  kdig: ({ address, port, name, type, isTcp, bytes }) => ['kdig', [
    `@${address}`, '-p', port, '-q', name, '-t', type, '+norecurse', '+retry=0', '+time=10', '+ignore', isTcp ? '+tcp' : '+notcp',
    ...(bytes ? ['+edns=0', `+bufsize=${bytes}`] : ['+noedns']),
  ]],
  drill: ({ address, port, name, type, isTcp, bytes }) => ['drill', [
    '-p', port, '-o', 'rd', isTcp ? '-t' : '-u', ...(bytes ? ['-b', bytes] : []), name, `@${address}`, type,
  ]],
  dnspython: ({ address, port, name, type, isTcp, bytes }) => ['/usr/bin/python3', [
    '-c', PYTHON, address, port, name, type, isTcp ? 'tcp' : 'udp', bytes,
  ]],
};

// The tools write the same data a little differently: quotes around lists of SVCB, tabs, letters of the type.
function normal(line) {
  const [owner, ttl, cls, type, ...data] = line.trim().split(/\s+/);
  const isService = type === 'SVCB' || type === 'HTTPS';
  return { owner, ttl: Number(ttl), cls, type, data: data.join(' ').replace(isService ? /"/g : /^$/, '') };
}

// What one of them printed, as {rcode, flags, answer, authority, additional}.
function read(text) {
  const rcode = text.match(/->>HEADER<<-.*?(?:status|rcode): ([A-Z]+)/)?.[1];
  const flags = text.match(/;; flags: ?([a-z ]*)/i)?.[1].trim().split(/\s+/).sort();
  const found = { rcode, flags, answer: [], authority: [], additional: [] };
  let section = null;
  for (const line of text.split('\n')) {
    const title = line.match(/^;; ([A-Z]+) (?:PSEUDO)?SECTION:/)?.[1];
    if (title) section = SECTIONS[title] ?? null;
    else if (section && line.trim() !== '' && !line.startsWith(';')) found[section].push(normal(line));
  }
  return found;
}

// Asks with one of TOOLS; `bytes`: the size EDNS offers, 0: no EDNS.
async function askWith(name, { address = '127.0.0.1', isTcp = false, bytes = 1232, ...question }) {
  const [command, args] = TOOLS[name]({ address, isTcp, bytes, ...question });
  const { code, text, stderr } = await tool(command, args.map(String), { ms: MS });
  if (code !== 0) throw new Error(`${name} ${args.join(' ')}: exit ${code}\n${text}${stderr}`);
  const found = read(text);
  if (found.rcode === undefined) throw new Error(`${name} ${args.join(' ')}: no answer in\n${text}${stderr}`);
  return found;
}

module.exports = { TOOLS: Object.keys(TOOLS), askWith };
