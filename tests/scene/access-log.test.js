// The access log: one line for whatever ended, in the form and the place the configuration names, and without the clients' credentials.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { describe } = require('node:test');
const { Client, get, scene, waitFor } = require('./lib');

const KEY = 'eyJhbGciOiJIUzI1NiJ9.e30.x';

async function stage(s, log, rest = {}) {
  const region = await s.region({ name: 'us-a' });
  const gateway = await s.gateway({
    pools: { p: { check: { type: 'none' }, servers: [{ name: 'us-a', url: region.url }] } },
    routes: [{ name: 'all', path: '/', pool: 'p' }],
    log,
    ...rest,
  });
  return { region, gateway };
}

const lines = (file) => (fs.existsSync(file) ? fs.readFileSync(file, 'utf8').split('\n').slice(0, -1) : []);
const some = (file, pattern) => waitFor(`${pattern} in ${file}`, () => lines(file).find((line) => pattern.test(line)));

describe('the access log', { concurrency: 2 }, () => {
  scene('has a file of its own, which is opened again after rotation and changes with the configuration', async (s) => {
    const file = path.join(s.temp(), 'access.log');
    const other = path.join(s.temp(), 'other.log');
    const origin = http.createServer((req, res) => res.end('ok'));
    await new Promise((resolve) => origin.listen(0, '127.0.0.1', resolve));
    s.atEnd(() => new Promise((resolve) => origin.close(resolve)));
    const config = (name) => ({
      workers: 2,
      pools: { p: { check: { type: 'none' }, servers: [{ name: 'a', url: `http://127.0.0.1:${origin.address().port}` }] } },
      routes: [{ name: 'all', path: '/', pool: 'p' }],
      log: { access_format: 'combined', access_file: name },
    });
    const gateway = await s.gateway(config(file));
    await get(gateway.port, `/one?apikey=${KEY}&a=b`, { headers: { 'user-agent': 'agent "1"', referer: `https://app.example/?token=${KEY}` } });
    assert.match(
      await some(file, /one/),
      /^127\.0\.0\.1 - - \[\d\d\/\w{3}\/\d{4}:\d\d:\d\d:\d\d \+0000\] "GET \/one\?apikey=\*\*\*&a=b HTTP\/1\.1" 200 2 "https:\/\/app\.example\/\?token=\*\*\*" "agent \\"1\\"" id=\S+ host=\S+ route=all server=p\/a attempts=1 duration_ms=\d+ first_byte_ms=\d+ upstream_ms=\d+ in_bytes=0$/,
    );
    fs.renameSync(file, `${file}.1`);
    gateway.process.signalled('SIGUSR1');
    await gateway.process.line(/log opened again/);
    await waitFor('the new file', async () => (await get(gateway.port, '/two')).status === 200 && lines(file).some((line) => line.includes('/two')));
    await gateway.reload(config(other));
    await get(gateway.port, '/three');
    await some(other, /three/);
    await gateway.reload(config(''));
    await get(gateway.port, '/four');
    await gateway.process.line(/^127\.0\.0\.1 - - .* "GET \/four HTTP\/1\.1" 200 2 /);
    await assert.rejects(gateway.reload(config('/nonexistent/access.log')), /reload failed/);
    await get(gateway.port, '/five');
    await gateway.process.line(/"GET \/five HTTP\/1\.1"/);
    assert.ok(!lines(file).some((line) => /three|four|five/.test(line)));
  });

  scene('an object says how a WebSocket went, and how one was refused', async (s) => {
    const file = path.join(s.temp(), 'access.log');
    const { gateway } = await stage(s, { access_format: 'json', access_file: file });
    const client = await Client.open(s, `${gateway.url}/echo?apikey=${KEY}&vsn=2.0.0`);
    assert.equal(await client.ask('hello'), 'hello');
    await client.close();
    const closed = JSON.parse(await some(file, /websocket closed/));
    assert.equal(closed.path, '/echo');
    assert.equal(closed.query, 'apikey=***&vsn=2.0.0');
    assert.equal(closed.protocol, 'HTTP/1.1');
    assert.equal(closed.server, 'p/us-a');
    assert.deepEqual([closed.by, closed.phase, closed.code], ['client', 'closed', 1000]);
    assert.deepEqual([closed.up_messages, closed.down_messages], [1, 1]);
    assert.ok(closed.duration_ms >= closed.first_byte_ms);
    await get(gateway.port, '/../etc/passwd');
    const refused = JSON.parse(await some(file, /"status":400/));
    assert.equal(refused.msg, 'request answered');
    assert.equal(refused.reason, 'ambiguous path');
    assert.equal(refused.path, '/../etc/passwd');
    assert.equal(refused.server, undefined);
  });

  scene('what is no request has a line too', async (s) => {
    const file = path.join(s.temp(), 'access.log');
    const { gateway } = await stage(s, { access_file: file });
    const raw = await s.connect(gateway.port);
    raw.write('GET /x HTTP/1.1\r\nHost: a\r\nX-A: \u001b[31m\r\n\r\n');
    assert.equal((await raw.head()).status, 400);
    await some(file, /request answered client=127\.0\.0\.1 attempts=0 status=400 reason="control character"/);
    assert.equal(lines(file).length, 1);
  });

  scene('a line is a line, whatever the client puts into it', async (s) => {
    const file = path.join(s.temp(), 'access.log');
    const { gateway } = await stage(s, { access_file: file });
    const raw = await s.connect(gateway.port);
    raw.write(`GET /x HTTP/1.1\r\nHost: a\r\nUser-Agent: \xff"\t\u0085${'y'.repeat(3000)}\r\nReferer: ${'z'.repeat(9000)}\r\nConnection: close\r\n\r\n`);
    await raw.head();
    const line = await some(file, /path=\/x/);
    assert.ok(Buffer.byteLength(line) < 4096);
    assert.ok(!/[\x00-\x1f\x7f]/.test(line));
    assert.equal(lines(file).length, 1);
  });
});
