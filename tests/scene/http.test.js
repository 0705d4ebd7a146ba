// Plain HTTP through the gateway: real clients (curl, fetch), a real server (nginx), and, where it matters what arrived, bytes by hand.
'use strict';

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { describe } = require('node:test');
const {
  Client, Origin, curl, event, exchange, h2Ask, h2Connect, isSanitized, nginx, peakMemory, readBody, reply, request, scene, stopped, tool, verdicts, waitFor, within,
} = require('./lib');

const MIB = 1 << 20;
const HUGE_BYTES = (isSanitized ? 32 : 256) * MIB;
const SLACK_BYTES = 12 * MIB; // what a worker's memory may grow by while HUGE_BYTES pass
const NO_CHECK = { type: 'none' };

// A gateway before `origin`, with what differs from one pool and one route.
function front(s, origin, { pool, server, route, ...rest } = {}) {
  return s.gateway({
    pools: { p: { check: NO_CHECK, circuit: { failures: 0 }, servers: [{ name: 'a', url: origin.url, ...server }], ...pool } },
    routes: [{ name: 'all', path: '/', pool: 'p', ...route }],
    ...rest,
  });
}

// One request on a connection of its own.
async function ask(s, gateway, { method = 'GET', path: target = '/', headers = '', body = '', version = '1.1' } = {}) {
  const length = body === '' ? '' : `Content-Length: ${Buffer.byteLength(body)}\r\n`;
  const raw = await s.connect(gateway.port);
  return exchange(raw, `${method} ${target} HTTP/${version}\r\nHost: h\r\n${headers}${length}\r\n${body}`, { isHead: method === 'HEAD' });
}

const worker = async (gateway) => (await gateway.processes())['worker-0'].pid;

// Does it, and fails when the worker's memory grew on the way.
async function flat(gateway, what, deed) {
  const pid = await worker(gateway);
  const before = peakMemory(pid);
  const result = await deed();
  const growth = peakMemory(pid) - before;
  if (!isSanitized) assert.ok(growth <= SLACK_BYTES, `${what}: the worker grew by ${Math.round(growth / 1024)} KiB`);
  return result;
}

describe('http: curl and nginx', { concurrency: 2 }, () => {
  scene('what curl can ask nginx for it can ask through the gateway', async (s) => {
    const origin = await nginx(s, `
      gzip on; gzip_proxied any; gzip_min_length 1; gzip_types text/plain;
      absolute_redirect off;
      location = /redirect { return 302 /hello.txt; }
      location = /count { add_header X-Count $connection_requests always; add_header X-Connection $connection always; return 200 ok; }
      location = /nothing { return 204; }
      location /dav/ { dav_methods PUT DELETE; client_max_body_size 0; create_full_put_path on; }
      location = /seen { return 200 "$request_method $http_host $http_x_forwarded_for $http_x_forwarded_proto $http_via $server_protocol"; }`);
    fs.writeFileSync(path.join(origin.root, 'hello.txt'), 'hello, world\n');
    const gateway = await front(s, origin);
    const url = `http://127.0.0.1:${gateway.port}`;

    // Reading: whole, in part, conditionally, compressed, the head alone.
    const whole = await curl('-i', `${url}/hello.txt`);
    assert.match(whole.text, /^HTTP\/1\.1 200 OK\r\n/);
    assert.match(whole.text, /\r\n\r\nhello, world\n$/);
    const etag = whole.text.match(/ETag: (\S+)/i)[1];
    assert.equal((await curl('-r', '7-11', '-w', ' %{http_code}', `${url}/hello.txt`)).text, 'world 206');
    assert.match((await curl('-i', '-r', '7-11', `${url}/hello.txt`)).text, /Content-Range: bytes 7-11\/13/i);
    assert.equal((await curl('-r', '100-', '-o', '/dev/null', '-w', '%{http_code}', `${url}/hello.txt`)).text, '416');
    assert.equal((await curl('-H', `If-None-Match: ${etag}`, '-w', '%{http_code} %{size_download}', `${url}/hello.txt`)).text, '304 0');
    const packed = await curl('-i', '--compressed', `${url}/hello.txt`);
    assert.match(packed.text, /Content-Encoding: gzip/i);
    assert.match(packed.text, /hello, world\n$/);
    const head = await curl('-I', `${url}/hello.txt`);
    assert.match(head.text, /Content-Length: 13\r/i);
    assert.match(head.text, /\r\n\r\n$/);
    assert.equal((await curl('-w', '%{http_code}', `${url}/nothing`)).text, '204');
    assert.equal((await curl('-o', '/dev/null', '-w', '%{http_code}', `${url}/none`)).text, '404');

    // A redirect is the client's to follow.
    assert.equal((await curl('-o', '/dev/null', '-w', '%{http_code} %{redirect_url}', `${url}/redirect`)).text, `302 ${url}/hello.txt`);
    assert.equal((await curl('-L', `${url}/redirect`)).text, 'hello, world\n');

    // Writing: with a length, in chunks, and after 100 (Continue).
    const data = crypto.randomBytes(300000);
    const file = path.join(s.temp(), 'data');
    fs.writeFileSync(file, data);
    const put = await curl('-v', '-T', file, '-H', 'Expect: 100-continue', '-w', '%{http_code}', `${url}/dav/by-length`);
    assert.equal(put.text, '201');
    assert.match(put.stderr, /< HTTP\/1\.1 100 Continue/);
    const stream = await curl('-v', '-T', '-', '-H', 'Expect:', '-w', '%{http_code}', `${url}/dav/in-chunks`, { input: data });
    assert.equal(stream.text, '201');
    assert.match(stream.stderr, /> Transfer-Encoding: chunked/);
    for (const name of ['by-length', 'in-chunks']) {
      assert.ok(fs.readFileSync(path.join(origin.root, 'dav', name)).equals(data), name);
      assert.ok((await curl(`${url}/dav/${name}`)).stdout.equals(data), name);
      assert.equal((await curl('-X', 'DELETE', '-w', '%{http_code}', `${url}/dav/${name}`)).text, '204');
    }

    // An old client gets what it can read: no chunks, and the end of the connection.
    const old = await curl('-v', '--http1.0', '--compressed', '-i', `${url}/hello.txt`);
    assert.match(old.text, /^HTTP\/1\.[01] 200/);
    assert.doesNotMatch(old.text, /Transfer-Encoding/i);
    assert.match(old.text, /hello, world\n$/);

    // What nginx sees of the client.
    assert.match((await curl('-H', 'Host: www.example.com', `${url}/seen`)).text, /^GET www\.example\.com 127\.0\.0\.1 http 1\.1 tidegate HTTP\/1\.1$/);

    // One connection on either side carries them all.
    const counts = await curl('-D', '-', '-w', ' %{num_connects}\n', ...Array(5).fill(`${url}/count`));
    const column = (pattern) => [...counts.text.matchAll(pattern)].map(([, value]) => Number(value));
    assert.deepEqual(column(/^ok (\d)$/gm), [1, 0, 0, 0, 0]);
    assert.equal(new Set(column(/X-Connection: (\d+)/gi)).size, 1);
    const requests = column(/X-Count: (\d+)/gi);
    assert.deepEqual(requests, requests.map((_, i) => requests[0] + i));
  });

  scene(`downloads and uploads of ${HUGE_BYTES / MIB} MiB pass through the memory of a few`, { timeout: 90000 }, async (s) => {
    const origin = await nginx(s, 'location /dav/ { dav_methods PUT; client_max_body_size 0; create_full_put_path on; }');
    const big = path.join(origin.root, 'big');
    fs.closeSync(fs.openSync(big, 'w'));
    fs.truncateSync(big, HUGE_BYTES);
    const gateway = await front(s, origin);
    const url = `http://127.0.0.1:${gateway.port}`;
    await curl(`${url}/none`); // the worker has all it needs
    const downloads = await flat(gateway, 'downloads', () => Promise.all([1, 2].map(() => curl('-o', '/dev/null', '-w', '%{http_code} %{size_download}', `${url}/big`))));
    for (const { text } of downloads) assert.equal(text, `200 ${HUGE_BYTES}`);
    const byLength = await flat(gateway, 'an upload', () => curl('-T', big, '-w', '%{http_code} %{size_upload}', `${url}/dav/a`));
    assert.equal(byLength.text, `201 ${HUGE_BYTES}`);
    assert.equal(fs.statSync(path.join(origin.root, 'dav', 'a')).size, HUGE_BYTES);
    await waitFor('buffered_bytes to be 0', async () => (await gateway.metrics()).sum('buffered_bytes') === 0);
  });
});

describe('http: fetch', () => {
  scene('fetch keeps its connections, streams both ways and may change its mind', async (s) => {
    const seen = { connections: 0, closed: 0 };
    const server = http.createServer((req, res) => {
      if (req.url === '/endless') {
        const more = setInterval(() => res.write('more'), 20);
        res.once('close', () => {
          clearInterval(more);
          seen.closed++;
        });
        return;
      }
      const hash = crypto.createHash('sha256');
      req.on('data', (part) => hash.update(part));
      req.on('end', () => res.setHeader('X-Method', req.method).end(hash.digest('hex')));
    });
    server.on('connection', () => seen.connections++);
    server.listen(0, '127.0.0.1');
    await event(server, 'listening');
    s.atEnd(() => {
      server.close();
      server.closeAllConnections();
    });
    const gateway = await front(s, { url: `http://127.0.0.1:${server.address().port}` });
    const url = `http://127.0.0.1:${gateway.port}`;
    const sha = (data) => crypto.createHash('sha256').update(data).digest('hex');

    for (let i = 0; i < 20; i++) assert.equal(await (await fetch(`${url}/${i}`, { method: 'POST', body: `body ${i}` })).text(), sha(`body ${i}`));
    assert.equal(seen.connections, 1);

    const parts = Array.from({ length: 64 }, () => crypto.randomBytes(10000));
    let next = 0;
    const stream = new ReadableStream({
      pull(to) {
        if (next < parts.length) to.enqueue(parts[next++]);
        else to.close();
      },
    });
    const streamed = await fetch(`${url}/stream`, { method: 'PUT', body: stream, duplex: 'half' });
    assert.equal(streamed.headers.get('x-method'), 'PUT');
    assert.equal(await streamed.text(), sha(Buffer.concat(parts)));

    const many = await Promise.all(Array.from({ length: 100 }, (_, i) => fetch(`${url}/${i}`).then((r) => r.text())));
    assert.deepEqual(new Set(many), new Set([sha('')]));

    // Who leaves in the middle of an answer takes the server's work away with it. An abort signal would do the same, but
    // node 18 forgets to listen to it when memory is collected in between.
    const reader = (await fetch(`${url}/endless`)).body.getReader();
    await reader.read();
    await reader.cancel();
    await waitFor('the server to hear of it', () => seen.closed === 1);
    await gateway.process.line(/request answered.*status=(499|200).*path=\/endless/);
  });
});

describe('http: bytes', { concurrency: true }, () => {
  scene('requests sent ahead are answered in their order, one at a time', async (s) => {
    const origin = await Origin.start(s);
    const gateway = await front(s, origin);
    const raw = await s.connect(gateway.port);
    const post = 'POST /1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n';
    raw.write(`GET /0 HTTP/1.1\r\nHost: h\r\n\r\n${post}HEAD /2 HTTP/1.1\r\nHost: h\r\n\r\nGET /3 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\nGET /4 HTTP/1.1\r\nHost: h\r\n\r\n`);
    for (const [i, body] of ['/0', '/1', '', '/3'].entries()) {
      const head = await raw.head();
      assert.equal(head.status, 200);
      assert.equal(head.headers['content-length'], '2');
      assert.equal((i === 2 ? '' : await readBody(raw, head)).toString(), body);
    }
    await raw.ended();
    assert.equal(raw.bytes.length, 0);
    assert.deepEqual(origin.requests.map(({ method, path: target }) => `${method} ${target}`), ['GET /0', 'POST /1', 'HEAD /2', 'GET /3']);
    assert.equal(origin.connections.length, 1);
  });

  scene('a slow reader slows its server, at bounded cost; a slow server its client; neither holds up others', async (s) => {
    const total = 64 * MIB;
    const piece = crypto.randomBytes(256 * 1024);
    const count = total / piece.length;
    let sent = 0;
    let received = 0;
    const origin = await Origin.start(s, async ({ path: target }, raw) => {
      if (target === '/quick') return reply('quick');
      if (target === '/upload') {
        raw.pause();
        raw.socket.removeAllListeners('data'); // counted, not kept
        received = raw.bytes.length;
        raw.socket.on('data', (part) => {
          received += part.length;
          if (received >= total) raw.write(reply('done'));
        });
        return undefined;
      }
      raw.write(`HTTP/1.1 200 OK\r\nContent-Length: ${total}\r\n\r\n`);
      for (let i = 0; i < count; i++) {
        const isFull = !raw.socket.write(piece);
        sent += piece.length;
        if (isFull) await new Promise((resolve) => raw.socket.once('drain', resolve));
      }
      return undefined;
    }, { early: true });
    const gateway = await front(s, origin);
    assert.equal((await ask(s, gateway, { path: '/quick' })).body, 'quick');

    const reader = await s.connect(gateway.port);
    await flat(gateway, 'a download nobody reads', async () => {
      reader.pause();
      reader.write('GET /download HTTP/1.1\r\nHost: h\r\n\r\n');
      await stopped('the server to be stopped', () => sent);
      assert.ok(sent < total, `${sent} bytes sent`);
      assert.equal((await ask(s, gateway, { path: '/quick' })).body, 'quick');
      const hash = crypto.createHash('sha256');
      let got = 0;
      reader.resume();
      await reader.head();
      await within(30000, 'the download', new Promise((resolve) => {
        const drink = (part) => {
          got += part.length;
          hash.update(part);
          if (got >= total) resolve();
        };
        reader.socket.removeAllListeners('data');
        drink(reader.bytes);
        reader.socket.on('data', drink);
      }));
      const expected = crypto.createHash('sha256');
      for (let i = 0; i < count; i++) expected.update(piece);
      assert.equal(got, total);
      assert.equal(hash.digest('hex'), expected.digest('hex'));
    });

    const writer = await s.connect(gateway.port);
    let written = 0;
    await flat(gateway, 'an upload nobody reads', async () => {
      writer.write(`POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: ${total}\r\n\r\n`);
      const pour = (async () => {
        for (let i = 0; i < count; i++) {
          const isFull = !writer.socket.write(piece);
          written += piece.length;
          if (isFull) await new Promise((resolve) => writer.socket.once('drain', resolve));
        }
      })();
      await stopped('the client to be stopped', () => written);
      assert.ok(written < total, `${written} bytes written`);
      assert.equal((await ask(s, gateway, { path: '/quick' })).body, 'quick');
      origin.connections.find((c) => c.raw.socket.isPaused()).raw.resume();
      await pour;
      const head = await writer.head(30000);
      assert.equal((await readBody(writer, head)).toString(), 'done');
    });
  });

  scene('Expect: 100-continue is answered when a server wants the body, and not when it is refused before', async (s) => {
    const origin = await Origin.start(s);
    const gateway = await front(s, origin, { route: { limits: { body: '1KiB' } } });
    const raw = await s.connect(gateway.port);
    const expecting = (length) => `POST /x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: ${length}\r\n\r\n`;
    raw.write(expecting(5));
    assert.equal((await raw.head()).line, 'HTTP/1.1 100 Continue');
    const answer = await exchange(raw, 'hello');
    assert.equal(answer.body, '/x');
    assert.equal(origin.requests[0].headers.expect, undefined);
    assert.equal(origin.requests[0].body.toString(), 'hello');
    // Who does not wait for it gets one answer all the same.
    raw.write(`${expecting(5)}hello`);
    let head = await raw.head();
    if (head.status === 100) head = await raw.head();
    assert.equal((await readBody(raw, head)).toString(), '/x');
    raw.write(expecting(5000));
    assert.equal((await raw.head()).status, 413);
    assert.equal(origin.requests.length, 2);
  });

  scene('413: a body beyond the limit, announced or not', async (s) => {
    const origin = await Origin.start(s);
    const gateway = await front(s, origin, { route: { limits: { body: '10KiB' } } });
    assert.equal((await ask(s, gateway, { method: 'POST', body: 'x'.repeat(10240) })).status, 200);
    const announced = await ask(s, gateway, { method: 'POST', body: 'x'.repeat(10241) });
    assert.equal(announced.status, 413);
    const chunk = `1000\r\n${'x'.repeat(4096)}\r\n`;
    const raw = await s.connect(gateway.port);
    raw.write(`POST /late HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n${chunk.repeat(3)}`);
    assert.equal((await raw.head()).status, 413);
    await raw.ended();
    assert.equal(origin.requests.length, 1);
    await waitFor('the server to lose the rest', () => origin.connections.every((c) => c.raw.hasEnded || c.count === 1));
    // Over HTTP/2 as well; the connection goes on.
    const session = await h2Connect(s, `http://127.0.0.1:${gateway.port}`);
    for (const [size, headers, status] of [[10240, {}, 200], [10241, { 'content-length': 10241 }, 413], [1000000, { 'content-length': 1000000 }, 413], [1000000, {}, 413]]) {
      assert.equal((await h2Ask(session, { method: 'POST', headers, body: Buffer.alloc(size) })).status, status, `${size} ${headers['content-length']}`);
    }
    assert.deepEqual(origin.requests.map(({ body }) => body.length), [10240, 10240]);
  });

  scene('an answer that comes before the body is whole reaches the client, who may stop or go on', async (s) => {
    const total = 32 * MIB;
    const origin = await Origin.start(s, ({ path: target }, raw) => {
      if (target === '/fine') return reply('fine');
      raw.write(reply('who are you', { status: 401, headers: target === '/closes' ? { Connection: 'close' } : {} }));
      if (target === '/closes') raw.destroy();
      return undefined;
    }, { early: true });
    const gateway = await front(s, origin, { pool: { max_retries: 0 } });
    const file = path.join(s.temp(), 'data');
    fs.writeFileSync(file, Buffer.alloc(total, 'x'));
    for (const target of ['/stays', '/closes']) {
      // When a server slams the door its word may be lost, but then there is a clean answer of our own.
      const wanted = target === '/closes' ? /401[^]*who are you|502/ : /401[^]*who are you/;
      const url = `http://127.0.0.1:${gateway.port}${target}`;
      const h1 = await curl('-i', '-H', 'Expect:', '-X', 'POST', '--data-binary', `@${file}`, url);
      assert.match(h1.text, wanted, `${target} ${h1.stderr}`);
      const h2 = await tool('nghttp', ['-v', '-d', file, url]);
      assert.match(h2.text, wanted, `${target} ${h2.stderr}`);
    }
    assert.equal((await ask(s, gateway, { path: '/fine' })).body, 'fine');
    await waitFor('buffered_bytes to be 0', async () => (await gateway.metrics()).sum('buffered_bytes') === 0);
  });

  scene('pages and WebSockets of one pool of http:// servers', async (s) => {
    const region = await s.region({ name: 'us-a' });
    const gateway = await front(s, { url: region.url.replace('ws:', 'http:') });
    assert.equal((await ask(s, gateway, { path: '/health' })).status, 200);
    const c = await Client.open(s, `${gateway.url}/echo`);
    assert.equal(await c.ask('hello'), 'hello');
    assert.equal((await ask(s, gateway, { path: '/echo' })).status, (await request({ port: region.port, path: '/echo' })).status);
    assert.equal((await gateway.metrics()).sum('ws_connections'), 1);
  });

  scene('methods beyond the usual: OPTIONS, PATCH, one of somebody\'s own; TRACE and CONNECT are not served', async (s) => {
    const origin = await Origin.start(s);
    const gateway = await front(s, origin);
    for (const method of ['OPTIONS', 'PATCH', 'PURGE', 'PROPFIND']) {
      assert.equal((await ask(s, gateway, { method, path: '/x' })).body, '/x');
      assert.equal(origin.requests.at(-1).method, method);
    }
    assert.equal((await ask(s, gateway, { method: 'OPTIONS', path: '*' })).status, 204);
    assert.equal((await ask(s, gateway, { method: 'TRACE' })).status, 405);
    assert.equal((await ask(s, gateway, { method: 'CONNECT', path: 'h:80' })).status, 501);
    assert.equal(origin.requests.length, 4);
  });

  scene('answers of every framing reach clients of either version', async (s) => {
    const answers = {
      '/length': reply('hello'),
      '/chunks': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n5;a=1\r\nhello\r\n0\r\nX-T: 1\r\n\r\n',
      '/close': 'HTTP/1.1 200 OK\r\n\r\nhello',
      '/old': 'HTTP/1.0 200 OK\r\n\r\nhello',
      '/hints': Buffer.concat([Buffer.from('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n'), reply('hello')]),
      '/hop': reply('hello', { headers: { Connection: 'X-Hop', 'X-Hop': '1', 'Keep-Alive': 'timeout=5', 'Proxy-Connection': 'x', 'X-End': '2' } }),
    };
    const origin = await Origin.start(s, ({ path: target }, raw) => {
      raw.write(answers[target]);
      if (target === '/close' || target === '/old') raw.finish();
    });
    const gateway = await front(s, origin);
    for (const target of Object.keys(answers)) {
      const answer = await ask(s, gateway, { path: target });
      if (answer.headers['content-length'] === undefined && answer.headers['transfer-encoding'] === undefined) assert.fail(`${target}: no framing`);
      assert.equal(answer.status, 200, target);
      assert.equal(answer.body, 'hello', target);
      assert.equal(answer.headers.trailer, undefined, target);
      const raw = await s.connect(gateway.port);
      raw.write(`GET ${target} HTTP/1.0\r\n\r\n`);
      const head = await raw.head();
      await raw.ended();
      assert.equal(head.headers['transfer-encoding'], undefined, target);
      assert.equal(raw.bytes.toString(), 'hello', `${target} in HTTP/1.0`);
    }
    const hop = await ask(s, gateway, { path: '/hop' });
    assert.deepEqual(['x-hop', 'keep-alive', 'proxy-connection', 'x-end'].map((name) => hop.headers[name]), [undefined, undefined, undefined, '2']);
  });

  scene('a connection to the server that closed while it was idle is not missed', async (s) => {
    let isBrief = true;
    const origin = await Origin.start(s, ({ path: target }, raw) => {
      if (isBrief) setImmediate(() => raw.destroy());
      return reply(target);
    });
    const gateway = await front(s, origin);
    const raw = await s.connect(gateway.port);
    for (let i = 0; i < 10; i++) {
      assert.equal((await exchange(raw, `GET /${i} HTTP/1.1\r\nHost: h\r\n\r\n`)).body, `/${i}`);
      isBrief = i % 2 === 0;
    }
  });

  scene('a client that leaves: the server is left alone, and 499 is logged', async (s) => {
    const origin = await Origin.start(s, () => undefined);
    const gateway = await front(s, origin);
    const raw = await s.connect(gateway.port);
    raw.write('GET /slow HTTP/1.1\r\nHost: h\r\n\r\n');
    const { connection } = await origin.next();
    raw.destroy();
    await connection.raw.ended();
    await gateway.process.line(/request answered.*status=499.*path=\/slow/);
  });

  scene('QUIT: what is under way is finished, with Connection: close; who idles is let go', async (s) => {
    let answer;
    const origin = await Origin.start(s, ({ path: target }) => (target === '/slow' ? new Promise((resolve) => (answer = () => resolve(reply(target)))) : reply(target)));
    const gateway = await front(s, origin, { drain: { time: '2s' } });
    const idle = await s.connect(gateway.port);
    await exchange(idle, 'GET / HTTP/1.1\r\nHost: h\r\n\r\n');
    const busy = await s.connect(gateway.port);
    busy.write('GET /slow HTTP/1.1\r\nHost: h\r\n\r\n');
    await origin.next(1);
    gateway.process.signalled('SIGQUIT');
    await idle.ended();
    answer();
    const head = await busy.head();
    assert.equal(head.headers.connection, 'close');
    assert.equal((await readBody(busy, head)).toString(), '/slow');
    await busy.ended();
    await within(10000, 'the gateway to end', gateway.process.exited);
  });
});

describe('http: routes', { concurrency: true }, () => {
  scene('plain HTTP is sent to https when the listener says so', async (s) => {
    const origin = await Origin.start(s);
    const gateway = await s.gateway((g) => ({
      listen: [{ address: `127.0.0.1:${g.port}`, redirect_https: true, redirect_port: 8443 }],
      pools: { p: { check: NO_CHECK, servers: [{ name: 'a', url: origin.url }] } },
      routes: [{ path: '/', pool: 'p' }],
    }));
    const answer = await exchange(await s.connect(gateway.port), 'GET /a?b=%20 HTTP/1.1\r\nHost: www.example.com:80\r\n\r\n');
    assert.ok([301, 308].includes(answer.status), String(answer.status));
    assert.equal(answer.headers.location, 'https://www.example.com:8443/a?b=%20');
    const post = await ask(s, gateway, { method: 'POST', path: '/a', body: 'x' });
    assert.equal(post.status, 308);
    assert.equal(origin.heads.length, 0);
  });

});

// ---- attempts ----

// Two servers, the second one for when the first fails; `first` answers for the first.
async function pair(s, first, { pool, route } = {}) {
  const a = await Origin.start(s, first);
  const b = await Origin.start(s, ({ path: target }) => reply(`second ${target}`));
  const gateway = await s.gateway({
    pools: { p: { check: NO_CHECK, circuit: { failures: 0 }, servers: [{ name: 'a', url: a.url }, { name: 'b', url: b.url, tier: 'backup' }], ...pool } },
    routes: [{ name: 'all', path: '/', pool: 'p', ...route }],
  });
  return { a, b, gateway };
}

const dies = (request_, raw) => void raw.destroy();

describe('http: attempts', { concurrency: true }, () => {
  scene('what may have been executed is sent again only when that is safe, and whole', async (s) => {
    const { a, b, gateway } = await pair(s, dies, { route: { retry: { idempotency_key: true, body: '64KiB' } } });
    const small = crypto.randomBytes(20000).toString('hex');
    const large = crypto.randomBytes(50000).toString('hex');
    for (const [what, options, status] of [
      ['GET', {}, 200],
      ['HEAD', { method: 'HEAD' }, 200],
      ['DELETE', { method: 'DELETE' }, 200],
      ['PUT', { method: 'PUT', body: small }, 200],
      ['PUT of more than is kept', { method: 'PUT', body: large }, 502],
      ['POST', { method: 'POST', body: small }, 502],
      ['PATCH', { method: 'PATCH', body: small }, 502],
      ['POST without a body', { method: 'POST' }, 502],
      ['POST with a key', { method: 'POST', headers: 'Idempotency-Key: 7\r\n', body: small }, 200],
    ]) {
      a.forget();
      b.forget();
      const answer = await ask(s, gateway, { ...options, path: '/x' });
      assert.equal(answer.status, status, what);
      assert.equal(b.requests.length, status === 200 ? 1 : 0, what);
      if (status !== 200) continue;
      assert.equal(b.requests[0].body.toString(), options.body ?? '', what);
      if (options.method !== 'HEAD') assert.equal(answer.body, 'second /x', what);
    }
    await gateway.process.line(/request answered.*attempts=2.*path=\/x/);
  });

  scene('a POST that no server can have seen goes to the next; a key counts only where the route says so', async (s) => {
    const { a, b, gateway } = await pair(s, dies);
    const [first, second] = [`http://127.0.0.1:${await s.freePort()}`, b.url];
    const answer = await ask(s, gateway, { method: 'POST', headers: 'Idempotency-Key: 7\r\n', body: 'x' });
    assert.equal(answer.status, 502);
    assert.equal(a.requests.length, 1);
    await gateway.reload({
      pools: { p: { check: NO_CHECK, servers: [{ name: 'a', url: first }, { name: 'b', url: second, tier: 'backup' }] } },
      routes: [{ path: '/', pool: 'p' }],
    });
    assert.equal((await ask(s, gateway, { method: 'POST', path: '/y', body: 'hello' })).body, 'second /y');
    assert.equal(b.requests[0].body.toString(), 'hello');
  });

  scene('503 of one server is the next one\'s chance; the last one\'s is the answer; 500 and 404 always are', async (s) => {
    const answers = { '/503': 503, '/502': 502, '/500': 500, '/404': 404 };
    const { b, gateway } = await pair(s, ({ path: target }) => reply('first', { status: answers[target] }));
    assert.equal((await ask(s, gateway, { path: '/503' })).body, 'second /503');
    assert.equal((await ask(s, gateway, { path: '/502' })).body, 'second /502');
    assert.equal((await ask(s, gateway, { path: '/500' })).body, 'first');
    assert.equal((await ask(s, gateway, { path: '/404' })).body, 'first');
    const post = await ask(s, gateway, { method: 'POST', path: '/503', body: 'x' });
    assert.deepEqual([post.status, post.body], [503, 'first']);
    b.answer = () => reply('second', { status: 503, headers: { 'Retry-After': '9' } });
    const last = await ask(s, gateway, { path: '/503' });
    assert.deepEqual([last.status, last.body, last.headers['retry-after']], [503, 'second', '9']);
  });

  scene('the retry budget: a pool in trouble is not asked for more', async (s) => {
    const { a, b, gateway } = await pair(s, dies, { pool: { retry: { budget: '20%', per_second: 0 } } });
    const statuses = [];
    for (let i = 0; i < 20; i++) statuses.push((await ask(s, gateway)).status);
    const retried = statuses.filter((status) => status === 200).length;
    assert.ok(retried >= 2 && retried <= 4, `${retried} of 20 retried`);
    assert.equal(b.requests.length, retried);
    assert.equal(a.requests.length, 20);
  });

  scene('504: a server that is late, with its first byte or with the whole; one that stops is broken off', async (s) => {
    const origin = await Origin.start(s, ({ path: target }, raw) => {
      if (target === '/stops') raw.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello');
      if (target === '/drips') {
        raw.write('HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n');
        const drip = setInterval(() => raw.write('x'), 20);
        raw.socket.once('close', () => clearInterval(drip));
      }
      return target === '/fine' ? reply(target) : undefined;
    });
    const pool = { first_byte_timeout: '200ms', between_bytes_timeout: '300ms', request_timeout: '800ms', max_retries: 0 };
    const gateway = await front(s, origin, { pool });
    assert.equal((await ask(s, gateway, { path: '/fine' })).status, 200);
    const late = await ask(s, gateway, { path: '/late' });
    assert.equal(late.status, 504);
    for (const target of ['/stops', '/drips']) {
      const raw = await s.connect(gateway.port);
      raw.write(`GET ${target} HTTP/1.1\r\nHost: h\r\n\r\n`);
      const head = await raw.head();
      assert.equal(head.status, 200, target);
      await raw.ended();
      assert.ok(raw.bytes.length < Number(head.headers['content-length']), target);
    }
    await waitFor('the server to be let go', () => origin.connections.filter((c) => !c.raw.hasEnded).every((c) => c.count === 1));
  });

  scene('a server that is down is not asked, and its kept connections go', async (s) => {
    let isHealthy = true;
    const answer = (name) => ({ path: target }) => (target === '/health' ? reply('', { status: name === 'a' && !isHealthy ? 500 : 200 }) : reply(name));
    const [a, b] = [await Origin.start(s, answer('a')), await Origin.start(s, answer('b'))];
    const gateway = await s.gateway({
      pools: {
        p: { check: { type: 'http', path: '/health', interval: '400ms', rise: 1, fall: 1 }, servers: [{ name: 'a', url: a.url }, { name: 'b', url: b.url, tier: 'backup' }] },
      },
      routes: [{ path: '/', pool: 'p' }],
    });
    await verdicts(gateway, { a: 'up', b: 'up' });
    const raw = await s.connect(gateway.port);
    assert.equal((await exchange(raw, 'GET / HTTP/1.1\r\nHost: h\r\n\r\n')).body, 'a');
    const kept = a.heads.find(({ path: target }) => target === '/').connection;
    isHealthy = false;
    await kept.raw.ended();
    await verdicts(gateway, { a: 'down' });
    assert.equal((await exchange(raw, 'GET / HTTP/1.1\r\nHost: h\r\n\r\n')).body, 'b');
  });
});
