// HTTP/2 on both sides: other people's clients and servers, and frames by hand where they would not misbehave.
'use strict';

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const fs = require('node:fs');
const http2 = require('node:http2');
const path = require('node:path');
const { describe } = require('node:test');
const {
  Authority, CODE, FLAG, H2Raw, Origin, SETTING, TYPE, block, curl, event, exchange, h2Answer, h2Ask, h2Connect, h2Frame, h2Reset, h2Server, h2Window, isSanitized, nghttpd, nginx,
  peakMemory, reply, scene, settings, stopped, tool, waitFor, within,
} = require('./lib');

const MIB = 1 << 20;
const NO_CHECK = { type: 'none' };
const NAME = 'www.example.test';
const SLACK_BYTES = 16 * MIB;

const pool = (url, rest = {}) => ({ check: NO_CHECK, circuit: { failures: 0 }, servers: [{ name: 'a', url }], ...rest });

function front(s, url, { pool: more, ...rest } = {}) {
  return s.gateway({ pools: { p: pool(url, more) }, routes: [{ name: 'all', path: '/', pool: 'p' }], ...rest });
}

// The same with a second listener that speaks TLS: `gateway.tls` is its url.
async function secureFront(s, url, { pool: more, ...rest } = {}) {
  const { cert, key } = await (await Authority.create(s)).issue('gateway', [NAME]);
  const tlsPort = await s.freePort();
  const gateway = await s.gateway((g) => ({
    listen: [{ address: `127.0.0.1:${g.port}` }, { address: `127.0.0.1:${tlsPort}`, tls: { certificates: [{ cert, key }] } }],
    pools: { p: pool(url, more) },
    routes: [{ name: 'all', path: '/', pool: 'p' }],
    ...rest,
  }));
  return Object.assign(gateway, { tls: `https://127.0.0.1:${tlsPort}`, plain: `http://127.0.0.1:${gateway.port}` });
}

const plain = (gateway) => `http://127.0.0.1:${gateway.port}`;
// Without a deadline: some never are.
const drained = (stream) => new Promise((resolve) => stream.once('drain', resolve));
const sha = (data) => crypto.createHash('sha256').update(data).digest('hex');
const PSEUDO = [[':method', 'GET'], [':scheme', 'http'], [':path', '/'], [':authority', 'h']];

// How many of h2load's requests succeeded, and what it spoke.
async function load(url, ...args) {
  const { text, stderr } = await tool('h2load', [...args, url]);
  const found = text.match(/requests: (\d+) total, .* (\d+) done, (\d+) succeeded/);
  assert.ok(found, text + stderr);
  return { total: Number(found[1]), succeeded: Number(found[3]), protocol: text.match(/Application protocol: (\S+)/)?.[1] };
}

describe('http2: clients', { concurrency: 2 }, () => {
  scene('curl, nghttp, h2load and node, in the clear and over TLS', async (s) => {
    const origin = await nginx(s, 'location /dav/ { dav_methods PUT; client_max_body_size 0; create_full_put_path on; } location /post { return 200 $http_cookie; }');
    fs.writeFileSync(path.join(origin.root, 'hello.txt'), 'hello, world\n');
    const gateway = await secureFront(s, origin.url);
    const version = ['-w', '%{http_version} %{http_code}', '-o', '/dev/null'];

    // Who offers it gets it, who does not gets HTTP/1.1, on the same port.
    assert.equal((await curl('-k', '--http2', ...version, `${gateway.tls}/hello.txt`)).text, '2 200');
    assert.equal((await curl('-k', '--http1.1', ...version, `${gateway.tls}/hello.txt`)).text, '1.1 200');
    assert.equal((await curl('--http2-prior-knowledge', ...version, `${gateway.plain}/hello.txt`)).text, '2 200');
    assert.equal((await curl('--http1.1', ...version, `${gateway.plain}/hello.txt`)).text, '1.1 200');
    assert.equal((await curl('--http2', ...version, `${gateway.plain}/hello.txt`)).text, '1.1 200'); // its Upgrade: h2c is not taken

    const file = path.join(s.temp(), 'data');
    const data = crypto.randomBytes(2 * MIB);
    fs.writeFileSync(file, data);
    assert.equal((await curl('-k', '--http2', '-T', file, '-w', '%{http_code}', `${gateway.tls}/dav/curl`)).text, '201');
    assert.ok(fs.readFileSync(path.join(origin.root, 'dav', 'curl')).equals(data));
    assert.ok((await curl('-k', '--http2', `${gateway.tls}/dav/curl`)).stdout.equals(data));
    assert.equal((await curl('-k', '--http2', '-r', '0-4', `${gateway.tls}/hello.txt`)).text, 'hello');
    const head = await curl('-k', '--http2', '-I', `${gateway.tls}/hello.txt`);
    assert.match(head.text, /^HTTP\/2 200/);
    assert.match(head.text, /content-length: 13/);
    assert.doesNotMatch(head.text, /connection|transfer-encoding|[A-Z].*: /);

    const many = await tool('nghttp', ['-n', '-s', '-m', '100', `${gateway.plain}/hello.txt`]);
    assert.equal(many.text.match(/ 200 .*\/hello\.txt/g)?.length, 100, many.text + many.stderr);
    const posted = await tool('nghttp', ['-v', '--expect-continue', '-H', ':method: PUT', '-d', file, '--trailer', 'x-trailer: 1', `${gateway.plain}/dav/nghttp`]);
    assert.match(posted.text, /:status: 201/);
    assert.ok(fs.readFileSync(path.join(origin.root, 'dav', 'nghttp')).equals(data));
    const requests = isSanitized ? 500 : 5000;
    for (const [url, protocol] of [[gateway.tls, 'h2'], [gateway.plain, undefined]]) {
      const run = await load(`${url}/hello.txt`, '-n', String(requests), '-c', '4', '-m', '50');
      assert.equal(run.succeeded, requests, url);
      if (protocol) assert.equal(run.protocol, protocol);
    }

    const session = await h2Connect(s, gateway.tls);
    const cookies = await h2Ask(session, { path: '/post', headers: { cookie: ['a=1', 'b=2'] } });
    assert.equal(cookies.body.toString(), 'a=1; b=2');
    const answers = await Promise.all(Array.from({ length: 300 }, () => h2Ask(session, { path: '/hello.txt' })));
    assert.ok(answers.every(({ status, body }) => status === 200 && body.toString() === 'hello, world\n'));
    assert.ok((await gateway.metrics()).sum('http2_requests_total') >= 2 * requests + 300);
    await gateway.process.line(/request answered.*protocol=HTTP\/2\.0.*tls=TLSv1\.3/);
  });

  scene('large bodies pass through the memory of a few, over one connection', async (s) => {
    const size = (isSanitized ? 16 : 128) * MIB;
    const origin = await nginx(s, 'location /dav/ { dav_methods PUT; client_max_body_size 0; create_full_put_path on; }');
    const big = path.join(origin.root, 'big');
    fs.closeSync(fs.openSync(big, 'w'));
    fs.truncateSync(big, size);
    const gateway = await front(s, origin.url);
    const { pid } = (await gateway.processes())['worker-0'];
    await curl('--http2-prior-knowledge', `${plain(gateway)}/none`);
    const before = peakMemory(pid);
    const down = await curl('--http2-prior-knowledge', '-o', '/dev/null', '-w', '%{http_code} %{size_download}', `${plain(gateway)}/big`);
    assert.equal(down.text, `200 ${size}`);
    const up = await curl('--http2-prior-knowledge', '-T', big, '-w', '%{http_code} %{size_upload}', `${plain(gateway)}/dav/big`);
    assert.equal(up.text, `201 ${size}`);
    assert.equal(fs.statSync(path.join(origin.root, 'dav', 'big')).size, size);
    const growth = peakMemory(pid) - before;
    if (!isSanitized) assert.ok(growth < SLACK_BYTES, `the worker grew by ${Math.round(growth / 1024)} KiB`);
    await waitFor('buffered_bytes to be 0', async () => (await gateway.metrics()).sum('buffered_bytes') === 0);
  });

  scene('a stream that stalls, either way, holds up no other of its connection', async (s) => {
    const total = 32 * MIB;
    const piece = crypto.randomBytes(64 * 1024);
    let sent = 0;
    let stalled;
    const origin = await Origin.start(s, async ({ path: target }, raw) => {
      if (target === '/quick') return reply('quick');
      if (target === '/upload') {
        raw.pause();
        stalled = raw;
        return undefined;
      }
      raw.write(`HTTP/1.1 200 OK\r\nContent-Length: ${total}\r\n\r\n`);
      for (; sent < total; sent += piece.length) if (!raw.socket.write(piece)) await drained(raw.socket);
      return undefined;
    }, { early: true });
    const gateway = await front(s, origin.url);
    const session = await h2Connect(s, plain(gateway));

    const down = session.request({ ':path': '/download' });
    await event(down, 'response'); // and nothing is read
    await stopped('the server to be stopped', () => sent);
    assert.ok(sent < total, `${sent} bytes sent`);
    const up = session.request({ ':path': '/upload', ':method': 'POST' });
    up.on('error', () => {});
    let written = 0;
    const pour = async () => {
      for (; written < total; written += piece.length) if (!up.write(piece)) await drained(up);
    };
    pour().catch(() => {});
    await stopped('the client to be stopped', () => written);
    assert.ok(written < total, `${written} bytes written`);
    for (let i = 0; i < 5; i++) assert.equal((await h2Ask(session, { path: '/quick' })).body.toString(), 'quick');
    assert.ok((await gateway.metrics()).sum('buffered_bytes') < 4 * MIB);

    // The one goes on where it was, the other is given up.
    stalled.destroy();
    const hash = crypto.createHash('sha256');
    let got = 0;
    down.on('data', (part) => {
      got += part.length;
      hash.update(part);
    });
    await event(down, 'end', 30000);
    assert.equal(got, total);
    const expected = crypto.createHash('sha256');
    for (let i = 0; i < total / piece.length; i++) expected.update(piece);
    assert.equal(hash.digest('hex'), expected.digest('hex'));
  });

  scene('a client that resets a stream, or is gone: the server is left alone', async (s) => {
    const origin = await Origin.start(s, ({ path: target }) => (target === '/quick' ? reply('quick') : undefined));
    const gateway = await front(s, origin.url);
    const session = await h2Connect(s, plain(gateway));
    const slow = session.request({ ':path': '/slow' });
    const { connection } = await origin.next();
    slow.on('error', () => {});
    slow.close(http2.constants.NGHTTP2_CANCEL);
    await connection.raw.ended();
    await gateway.process.line(/request answered.*status=499.*path=\/slow/);
    assert.equal((await h2Ask(session, { path: '/quick' })).body.toString(), 'quick');
    for (let i = 0; i < 3; i++) session.request({ ':path': `/gone-${i}` }).on('error', () => {});
    await waitFor('the requests', () => origin.requests.length === 5);
    session.destroy();
    await waitFor('the server to be let go', () => origin.connections.filter((c) => !c.raw.hasEnded).every((c) => c.count === 1));
  });

  scene('QUIT: GOAWAY, what is under way is finished, and the connection ends', async (s) => {
    const slow = [];
    const origin = await Origin.start(s, ({ path: target }) => (target === '/quick' ? reply('quick') : new Promise((resolve) => slow.push(() => resolve(reply(target))))));
    const gateway = await front(s, origin.url, { drain: { time: '1s' } });
    const busy = await h2Connect(s, plain(gateway));
    const idle = await h2Connect(s, plain(gateway));
    await h2Ask(idle, { path: '/quick' });
    const answers = [1, 2, 3].map((i) => h2Ask(busy, { path: `/${i}` }));
    await waitFor('three requests', () => slow.length === 3);
    const [goaway, closed] = [event(busy, 'goaway', 10000), event(idle, 'close', 10000)];
    gateway.process.signalled('SIGQUIT');
    const [code] = await goaway;
    assert.equal(code, http2.constants.NGHTTP2_NO_ERROR);
    await closed;
    for (const answer of slow) answer();
    assert.deepEqual((await Promise.all(answers)).map(({ status, body }) => `${status} ${body}`), ['200 /1', '200 /2', '200 /3']);
    await within(10000, 'the gateway to end', gateway.process.exited);
  });
});

describe('http2: limits', { concurrency: 2 }, () => {
  scene('floods are told to calm down, and cost nobody else anything', async (s) => {
    const origin = await Origin.start(s);
    const gateway = await front(s, origin.url, { limits: { streams: 50 } });
    const request = (id, flags = FLAG.endHeaders | FLAG.endStream) => h2Frame(TYPE.headers, flags, id, block(PSEUDO));
    const repeat = (count, frame) => Buffer.concat(Array.from({ length: count }, (_, i) => frame(i)));
    for (const [what, bytes] of [
      ['rapid resets', repeat(3000, (i) => Buffer.concat([request(2 * i + 1), h2Reset(2 * i + 1)]))],
      ['resets we are made to send', repeat(3000, (i) => h2Frame(TYPE.headers, FLAG.endHeaders | FLAG.endStream, 2 * i + 1, block([...PSEUDO, ['content-length', '5']])))],
      ['settings', repeat(5000, () => settings({ window: 70000 }))],
      ['pings', repeat(20000, () => h2Frame(TYPE.ping, 0, 0, Buffer.alloc(8)))],
      ['empty data', Buffer.concat([request(1, FLAG.endHeaders), repeat(20000, () => h2Frame(TYPE.data, 0, 1))])],
      ['empty continuations', Buffer.concat([request(1, 0), repeat(20000, () => h2Frame(TYPE.continuation, 0, 1))])],
      ['priorities', repeat(20000, (i) => h2Frame(TYPE.priority, 0, 2 * i + 1, Buffer.from([0, 0, 0, 0, 1])))],
      ['windows', repeat(20000, () => h2Window(0, 1))],
      ['frames of no known type', repeat(20000, () => h2Frame(0xbe, 0, 0, 'hello'))],
    ]) {
      const h = await H2Raw.connect(s, gateway.port);
      h.raw.socket.on('error', () => {});
      h.write(bytes);
      await h.until(`${what}: the end`, () => h.goaway && h.goaway.code !== CODE.none, 10000);
      if (h.goaway) assert.equal(h.goaway.code, CODE.calm, what);
      await h.ended();
      h.destroy();
      const fine = await exchange(await s.connect(gateway.port), 'GET /fine HTTP/1.1\r\nHost: h\r\n\r\n');
      assert.equal(fine.body, '/fine', what);
    }
    assert.ok(origin.heads.length < 3000, `${origin.heads.length} requests`);
    assert.equal((await gateway.processes())['worker-0'].restarts, 0);
    const metrics = await gateway.metrics();
    assert.equal(metrics.sum('buffered_bytes'), 0);
  });

  scene('no more streams at a time than announced: refused, not lost, while nobody can know; the end for who knows', async (s) => {
    const waiting = [];
    const origin = await Origin.start(s, ({ path: target }) => new Promise((resolve) => waiting.push(() => resolve(reply(target)))));
    const gateway = await front(s, origin.url, { limits: { streams: 5 } });
    const h = await H2Raw.connect(s, gateway.port);
    const ids = Array.from({ length: 7 }, () => h.request(PSEUDO));
    for (const id of ids.slice(5)) assert.equal(await h.outcome(id), `reset ${CODE.refused}`);
    assert.equal(h.settings.get(SETTING.maxStreams), 5);
    await waitFor('five requests', () => waiting.length === 5);
    for (const answer of waiting.splice(0)) answer();
    for (const id of ids.slice(0, 5)) assert.equal(await h.outcome(id), 200);
    const more = Array.from({ length: 6 }, () => h.request(PSEUDO));
    assert.equal(await h.outcome(more[5]), `goaway ${CODE.protocol}`);
    await h.ended();
    assert.ok(origin.heads.length <= 10);
  });

  scene('deadlines: a body that stops, and a connection that has nothing to say', async (s) => {
    const origin = await Origin.start(s);
    const gateway = await front(s, origin.url, { limits: { body_timeout: '200ms', keepalive_timeout: '500ms', header_timeout: '300ms' } });
    const h = await H2Raw.connect(s, gateway.port);
    const fields = [[':method', 'POST'], ...PSEUDO.slice(1)];
    const stuck = h.request(fields, { end: false });
    h.data(stuck, 'hello');
    assert.equal(await h.outcome(stuck), 408);
    assert.equal(await h.outcome(h.request(PSEUDO)), 200);
    await h.until('a goodbye', () => h.goaway);
    assert.equal(h.goaway.code, CODE.none);
    await h.ended();
    // A head that never ends.
    const endless = await H2Raw.connect(s, gateway.port);
    endless.request(PSEUDO, { flags: 0 });
    await endless.ended();
    // One that never said what it speaks.
    const silent = await s.connect(gateway.port);
    silent.write('PRI * HTTP/2.0\r\n');
    await silent.ended();
    assert.equal(origin.requests.length, 1);
  });
});

describe('http2: servers', { concurrency: 2 }, () => {
  scene('nghttpd in the clear and over TLS: many requests on few connections', async (s) => {
    const ca = await Authority.create(s);
    const tls = await ca.issue('server', [NAME]);
    const [clear, secure] = [await nghttpd(s, { args: ['--echo-upload'] }), await nghttpd(s, { tls, args: ['--echo-upload'] })];
    for (const { root } of [clear, secure]) fs.writeFileSync(path.join(root, 'hello.txt'), 'hello, world\n');
    const gateway = await s.gateway({
      pools: {
        clear: pool(clear.url, { http: 'h2' }),
        secure: { check: NO_CHECK, servers: [{ name: 'a', url: secure.url, tls: { ca: ca.file, server_name: NAME } }] },
      },
      routes: [{ path: '/', pool: 'clear' }, { path: '/', host: 'secure.example.com', pool: 'secure' }],
    });
    const count = isSanitized ? 300 : 2000;
    for (const [host, name] of [['h', 'clear'], ['secure.example.com', 'secure']]) {
      for (const spoken of ['--http2-prior-knowledge', '--http1.1']) {
        assert.equal((await curl(spoken, '-H', `Host: ${host}`, '-w', ' %{http_code}', `${plain(gateway)}/hello.txt`)).text, 'hello, world\n 200', `${name} ${spoken}`);
        const data = crypto.randomBytes(300000).toString('base64');
        const echo = await curl(spoken, '-H', `Host: ${host}`, '-H', 'Expect:', '--data-binary', '@-', `${plain(gateway)}/echo`, { input: data });
        assert.equal(sha(echo.text), sha(data), `${name} ${spoken}`);
        assert.match((await curl(spoken, '-H', `Host: ${host}`, '-I', `${plain(gateway)}/hello.txt`)).text, /content-length: 13/i);
      }
      const run = await load(`${plain(gateway)}/hello.txt`, '-n', String(count), '-c', '4', '-m', '20', '-H', `:authority: ${host}`);
      assert.equal(run.succeeded, count, name);
      const metrics = await gateway.metrics();
      const opened = metrics.sum('server_connections_opened_total', { pool: name });
      assert.ok(opened > 0 && opened <= 8, `${name}: ${opened} connections`);
      assert.ok(metrics.sum('server_connections_reused_total', { pool: name }) >= count - 8, name);
    }
  });

  scene('a server with few streams, one that says goodbye and one that refuses: every request is answered', async (s) => {
    let served = 0;
    let refused = 0;
    const few = await h2Server(s, (stream) => setImmediate(() => stream.respond({ ':status': 200 }) ?? stream.end('few')), { settings: { maxConcurrentStreams: 3 } });
    const leaving = await h2Server(s, (stream) => {
      if (++served % 50 === 0) stream.session.close();
      stream.respond({ ':status': 200 });
      stream.end('leaving');
    });
    const refusing = await h2Server(s, (stream) => {
      refused++;
      stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
    });
    const gateway = await s.gateway({
      pools: {
        few: pool(few.url, { http: 'h2' }),
        leaving: pool(leaving.url, { http: 'h2' }),
        refusing: { check: NO_CHECK, http: 'h2', circuit: { failures: 0 }, servers: [{ name: 'a', url: refusing.url }, { name: 'b', url: few.url, tier: 'backup' }] },
      },
      routes: ['few', 'leaving', 'refusing'].map((name) => ({ path: `/${name}`, pool: name })),
    });
    assert.equal((await load(`${plain(gateway)}/few`, '-n', '400', '-c', '2', '-m', '20')).succeeded, 400);
    assert.equal((await load(`${plain(gateway)}/leaving`, '-n', '1000', '-c', '2', '-m', '8')).succeeded, 1000);
    assert.ok(leaving.sessionCount >= 20, `${leaving.sessionCount} sessions`);
    const session = await h2Connect(s, plain(gateway));
    const answer = await h2Ask(session, { path: '/refusing', method: 'POST', body: 'x'.repeat(1000) });
    assert.deepEqual([answer.status, answer.body.toString()], [200, 'few']);
    assert.equal(refused, 1);
  });

  scene('a server that dies takes with it only what cannot be repeated', async (s) => {
    let isDeadly = false;
    const dying = await h2Server(s, (stream, headers) => {
      if (isDeadly) for (const socket of dying.sockets) socket.destroy();
      else if (headers[':path'] !== '/waits') stream.respond({ ':status': 200 }) ?? stream.end('a');
    });
    const gateway = await front(s, dying.url, { pool: { http: 'h2', max_retries: 0 } });
    const session = await h2Connect(s, plain(gateway));
    assert.equal((await h2Ask(session)).body.toString(), 'a');
    const waiting = Array.from({ length: 5 }, () => h2Ask(session, { path: '/waits', method: 'POST', body: 'x' }));
    await waitFor('them to be there', () => dying.streamCount === 6);
    isDeadly = true;
    const deadly = h2Ask(session, { method: 'POST', body: 'x' });
    for (const each of [...waiting, deadly]) assert.equal((await each).status, 502);
    isDeadly = false;
    assert.equal((await h2Ask(session)).body.toString(), 'a');
  });

  scene('trailers and interim answers of a server end at the gateway', async (s) => {
    const server = await h2Server(s, (stream) => {
      stream.additionalHeaders({ ':status': 103, link: '</a>' });
      stream.respond({ ':status': 200, 'x-answer': '1' }, { waitForTrailers: true });
      stream.once('wantTrailers', () => stream.sendTrailers({ 'x-trailer': '1' }));
      stream.end('hello');
    });
    const gateway = await front(s, server.url, { pool: { http: 'h2' } });
    const session = await h2Connect(s, plain(gateway));
    const stream = session.request({ ':path': '/' });
    let trailers;
    stream.once('trailers', (fields) => (trailers = fields));
    const answer = await h2Answer(stream);
    assert.deepEqual([answer.status, answer.body.toString(), answer.headers['x-answer'], trailers], [200, 'hello', '1', undefined]);
    const h1 = await exchange(await s.connect(gateway.port), 'GET / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\n\r\n');
    assert.deepEqual([h1.status, h1.body, h1.headers.trailer], [200, 'hello', undefined]);
  });
});
