// Messages that two readers could read in two ways. Each family is a table; behind every row of it comes a request that nobody asked for,
// and the servers prove that it never reached them. The same from the other side: answers with another answer hidden behind.
'use strict';

const assert = require('node:assert/strict');
const { describe } = require('node:test');
const { CODE, FLAG, H2Raw, Origin, TYPE, block, exchange, h2Frame, readBody, reply, scene, waitFor } = require('./lib');

const HIDDEN = 'GET /hidden HTTP/1.1\r\nHost: h\r\n\r\n';
const LONG = 'x'.repeat(9000);

// A gateway before an origin; one failure of that must not keep the next row from it.
async function stage(s, { answer, early, pool, ...rest } = {}) {
  const origin = await Origin.start(s, answer, { early });
  const gateway = await s.gateway({
    pools: { p: { check: { type: 'none' }, circuit: { failures: 0 }, max_retries: 0, servers: [{ name: 'a', url: origin.url }], ...pool } },
    routes: [{ path: '/', pool: 'p' }],
    ...rest,
  });
  return { gateway, origin };
}

const get = (fields = '') => `GET / HTTP/1.1\r\nHost: h\r\n${fields}\r\n`;
const post = (fields, body = '') => `POST / HTTP/1.1\r\nHost: h\r\n${fields}\r\n${body}`;
const chunked = (body) => post('Transfer-Encoding: chunked\r\n', body);

// Nothing happened to the gateway: it answers, with the same worker as before.
async function isWell(s, gateway, origin) {
  origin.forget();
  const answer = await exchange(await s.connect(gateway.port), 'GET /well HTTP/1.1\r\nHost: h\r\n\r\n');
  assert.equal(answer.body, '/well');
  assert.equal(origin.heads.length, 1);
  assert.equal((await gateway.processes())['worker-0'].restarts, 0);
}

// Sends bytes in two pieces, cut at `at`.
function sendIn(raw, bytes, at) {
  if (at > 0) raw.socket.write(bytes.subarray(0, at), () => setImmediate(() => raw.write(bytes.subarray(at))));
  else raw.write(bytes);
}

// Every row ([what, bytes, status = 400]), whole and cut in the middle, is answered once with its status, and the connection closed.
async function refuses(s, { gateway, origin }, rows) {
  for (const [what, text, status = 400] of rows) {
    const bytes = Buffer.concat([Buffer.from(text, 'latin1'), Buffer.from(HIDDEN)]);
    for (const at of [0, Math.floor(text.length / 2)]) {
      const raw = await s.connect(gateway.port);
      sendIn(raw, bytes, at);
      const answer = await raw.head().catch((error) => Promise.reject(new Error(`${what}: ${error.message}`)));
      assert.equal(answer.status, status, what);
      assert.equal(answer.headers.connection, 'close', what);
      await readBody(raw, answer);
      await raw.ended();
      assert.equal(raw.bytes.toString('latin1'), '', `${what}: answered once`);
      raw.destroy();
    }
  }
  assert.doesNotMatch(origin.text, /hidden/);
}

describe('smuggling: requests over HTTP/1.1', { concurrency: true }, () => {
  scene('heads: whatever two readers could read in two ways is refused before a server hears of it', async (s) => {
    const on = await stage(s);
    const length = `Content-Length: ${HIDDEN.length}\r\n`;
    const families = {
      'lengths': [
        ['two', post('Content-Length: 0\r\nContent-Length: 5\r\n')],
        ['two of the same', post('Content-Length: 5\r\nContent-Length: 5\r\n', 'hello')],
        ['a list', post('Content-Length: 0, 5\r\n')],
        ['a list of the same', post('Content-Length: 5, 5\r\n', 'hello')],
        ['a sign', post('Content-Length: +5\r\n')],
        ['less than nothing', post('Content-Length: -1\r\n')],
        ['more than fits', post('Content-Length: 18446744073709551616\r\n')],
        ['a hexadecimal one', post('Content-Length: 0x5\r\n')],
        ['a fraction', post('Content-Length: 5.0\r\n')],
        ['a word', post('Content-Length: five\r\n')],
        ['none', post('Content-Length:\r\n')],
        ['two numbers', post('Content-Length: 1 5\r\n')],
        ['a tab within', post('Content-Length: 1\t5\r\n')],
      ],
      'codings': [
        ['and a length', post(`Transfer-Encoding: chunked\r\n${length}`, '0\r\n\r\n')],
        ['behind a length', post(`${length}Transfer-Encoding: chunked\r\n`, '0\r\n\r\n')],
        ['of nothing, and a length', post(`Transfer-Encoding:\r\n${length}`)],
        ['twice in one field', post('Transfer-Encoding: chunked, chunked\r\n', '0\r\n\r\n')],
        ['twice in two', post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n')],
        ['another name', post('Transfer-Encoding: xchunked\r\n', '0\r\n\r\n'), 501],
        ['another before', post('Transfer-Encoding: gzip, chunked\r\n', '0\r\n\r\n'), 501],
        ['another behind', post('Transfer-Encoding: chunked, identity\r\n', '0\r\n\r\n'), 501],
        ['another in a second field', post('Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n', '0\r\n\r\n'), 501],
        ['with a parameter', post('Transfer-Encoding: chunked;q=1\r\n', '0\r\n\r\n'), 501],
        ['in quotes', post('Transfer-Encoding: "chunked"\r\n', '0\r\n\r\n'), 501],
        ['on a folded line', post('Transfer-Encoding:\r\n chunked\r\n', '0\r\n\r\n')],
        ['behind a vertical tab', post('Transfer-Encoding: \x0bchunked\r\n', '0\r\n\r\n')],
        ['a space before the colon', post('Transfer-Encoding : chunked\r\n', '0\r\n\r\n')],
        ['a tab before the colon', post('Transfer-Encoding\t: chunked\r\n', '0\r\n\r\n')],
        ['in HTTP/1.0', 'POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
      ],
      'lines': [
        ['fed without return', 'GET / HTTP/1.1\nHost: h\n\n'],
        ['one of them fed without return', 'GET / HTTP/1.1\r\nHost: h\nX: 1\r\n\r\n'],
        ['returned without feed', get('X: 1\rContent-Length: 5\r\n')],
        ['returned twice', 'GET / HTTP/1.1\r\nHost: h\r\r\n\r\n'],
        ['an empty one that feeds without return', 'GET / HTTP/1.1\r\nHost: h\r\n\nX: 1\r\n\r\n'],
        ['folded', get('X: 1\r\n  Content-Length: 5\r\n')],
        ['folded by a tab', get('X: 1\r\n\tContent-Length: 5\r\n')],
        ['folded right behind the request', 'GET / HTTP/1.1\r\n Host: h\r\nHost: h\r\n\r\n'],
        ['without a colon', get('Content-Length\r\n')],
        ['without a name', get(': 1\r\n')],
        ['with a space in the name', get('X Y: 1\r\n')],
        ['with a space before the colon', get('X : 1\r\n')],
        ['with a colon in quotes', get('"X:Y": 1\r\n')],
      ],
      'characters': [
        ['NUL in a value', get('X: a\0b\r\n')],
        ['NUL in a name', get('X\0: 1\r\n')],
        ['NUL in the target', 'GET /a\0b HTTP/1.1\r\nHost: h\r\n\r\n'],
        ['escape in a value', get('X: \x1b[2J\r\n')],
        ['backspace in a value', get('X: a\bb\r\n')],
        ['delete in a value', get('X: a\x7fb\r\n')],
        ['beyond ASCII in a name', get('X\xe9: 1\r\n')],
        ['beyond ASCII in the target', 'GET /\xe9 HTTP/1.1\r\nHost: h\r\n\r\n'],
        ['beyond ASCII in the method', 'G\xc9T / HTTP/1.1\r\nHost: h\r\n\r\n'],
        ['a byte order mark', `\xef\xbb\xbf${get()}`],
      ],
      'hosts': [
        ['none', 'GET / HTTP/1.1\r\n\r\n'],
        ['two', get('Host: other\r\n')],
        ['two of the same', get('Host: h\r\n')],
        ['a list', 'GET / HTTP/1.1\r\nHost: h, other\r\n\r\n'],
        ['a path', 'GET / HTTP/1.1\r\nHost: h/x\r\n\r\n'],
        ['a user', 'GET / HTTP/1.1\r\nHost: me@h\r\n\r\n'],
        ['a space', 'GET / HTTP/1.1\r\nHost: h x\r\n\r\n'],
        ['a port that is none', 'GET / HTTP/1.1\r\nHost: h:80x\r\n\r\n'],
        ['bad, beside an absolute target', 'GET http://h/ HTTP/1.1\r\nHost: h x\r\n\r\n'],
        ['two, beside an absolute target', 'GET http://h/ HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n'],
        ['a user in the target', 'GET http://me@h/ HTTP/1.1\r\nHost: h\r\n\r\n'],
        ['nothing in the target', 'GET http:///x HTTP/1.1\r\nHost: h\r\n\r\n'],
      ],
      'request lines': [
        ['two spaces', 'GET  / HTTP/1.1\r\nHost: h\r\n\r\n'],
        ['a tab', 'GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n'],
        ['a space at the end', 'GET / HTTP/1.1 \r\nHost: h\r\n\r\n'],
        ['a space in front', ' GET / HTTP/1.1\r\nHost: h\r\n\r\n'],
        ['a space in the target', 'GET /a b HTTP/1.1\r\nHost: h\r\n\r\n'],
        ['a fragment', 'GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n'],
        ['no version', 'GET /\r\nHost: h\r\n\r\n'],
        ['a long version', 'GET / HTTP/1.10\r\nHost: h\r\n\r\n'],
        ['a version in small letters', 'GET / http/1.1\r\nHost: h\r\n\r\n'],
        ['another protocol', 'GET / RTSP/1.0\r\nHost: h\r\n\r\n'],
        ['a version to come', 'GET / HTTP/3.0\r\nHost: h\r\n\r\n', 505],
        ['a path of no root', 'GET x HTTP/1.1\r\nHost: h\r\n\r\n'],
        ['another scheme', 'GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n'],
        ['a star for GET', 'GET * HTTP/1.1\r\nHost: h\r\n\r\n'],
        ['no method', ' / HTTP/1.1\r\nHost: h\r\n\r\n'],
        ['a method in brackets', 'G(E)T / HTTP/1.1\r\nHost: h\r\n\r\n'],
        ['CONNECT', 'CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n', 501],
        ['two empty lines in front', `\r\n\r\n${get()}`],
        ['a line feed in front', `\n${get()}`],
        ['TLS', Buffer.from('16030100c8010000c40303', 'hex').toString('latin1')],
      ],
      'sizes': [
        ['a target', `GET /${LONG} HTTP/1.1\r\nHost: h\r\n\r\n`, 414],
        ['a method', `${'G'.repeat(20000)} / HTTP/1.1\r\nHost: h\r\n\r\n`, 414],
        ['a field', get(`X: ${LONG}${LONG}\r\n`), 431],
        ['a name', get(`${LONG}${LONG}: 1\r\n`), 431],
        ['a hundred and one fields', get('X: 1\r\n'.repeat(101)), 431],
        ['more options than anybody has', get(`Connection: ${Array(40).fill('x').join()}\r\n`)],
      ],
    };
    for (const rows of Object.values(families)) await refuses(s, on, rows);
    assert.equal(on.origin.text, '');
    await isWell(s, on.gateway, on.origin);
  });

  scene('bodies: a broken chunk ends the request, the client\'s connection and the server\'s', async (s) => {
    const { gateway, origin } = await stage(s);
    const rows = [
      ['no size', '\r\nhello\r\n0\r\n\r\n'],
      ['a sign', '+5\r\nhello\r\n0\r\n\r\n'],
      ['less than nothing', '-5\r\nhello\r\n0\r\n\r\n'],
      ['a prefix', '0x5\r\nhello\r\n0\r\n\r\n'],
      ['a space in front', ' 5\r\nhello\r\n0\r\n\r\n'],
      ['a letter', 'g\r\nhello\r\n0\r\n\r\n'],
      ['more than fits', 'ffffffffffffffff\r\nhello\r\n0\r\n\r\n'],
      ['more than fits by one', '10000000000000005\r\nhello\r\n0\r\n\r\n'],
      ['endless zeros', `${'0'.repeat(100)}5\r\nhello\r\n0\r\n\r\n`],
      ['a size fed without return', '5\nhello\r\n0\r\n\r\n'],
      ['a size returned twice', '5\r\r\nhello\r\n0\r\n\r\n'],
      ['no end of the line behind the data', '5\r\nhello0\r\n\r\n'],
      ['data fed without return', '5\r\nhello\n0\r\n\r\n'],
      ['data too long', '5\r\nhello!\r\n0\r\n\r\n'],
      ['data too short', '6\r\nhello\r\n0\r\n\r\n'],
      ['two sizes', '5 5\r\nhello\r\n0\r\n\r\n'],
      ['a word behind a size', '5 ok\r\nhello\r\n0\r\n\r\n'],
      ['an extension fed without return', '5;a=1\nhello\r\n0\r\n\r\n'],
      ['an extension with a return alone', '5;a=1\rb\r\nhello\r\n0\r\n\r\n'],
      ['an extension with a NUL', '5;a=\0\r\nhello\r\n0\r\n\r\n'],
      ['an oversized extension', `5;a=${LONG}\r\nhello\r\n0\r\n\r\n`],
      ['extensions oversized together', `${`1;a=${'x'.repeat(1000)}\r\nh\r\n`.repeat(9)}0\r\n\r\n`],
      ['a last size with a sign', '5\r\nhello\r\n-0\r\n\r\n'],
      ['a trailer fed without return', '5\r\nhello\r\n0\r\nX: 1\n\r\n\r\n'],
      ['a trailer with a NUL', '5\r\nhello\r\n0\r\nX: \0\r\n\r\n'],
      ['oversized trailers', `5\r\nhello\r\n0\r\nX: ${LONG}\r\n\r\n`],
      ['endless trailers', `5\r\nhello\r\n0\r\n${'X: 1\r\n'.repeat(3000)}\r\n`],
    ];
    for (const [what, body] of rows) {
      await refuses(s, { gateway, origin }, [[what, chunked(body)]]);
      assert.deepEqual(origin.requests.map(({ path }) => path), [], `${what}: a whole request at the server`);
      await waitFor(`${what}: the end of the connection to the server`, () => origin.connections.every((c) => c.raw.hasEnded));
    }
    await isWell(s, gateway, origin);
  });

  scene('bodies that look odd and are not: what passes is framed anew, and the next request is the next one', async (s) => {
    const { gateway, origin } = await stage(s);
    const raw = await s.connect(gateway.port);
    for (const [what, bytes, expected] of [
      ['a tab before the coding', post('Transfer-Encoding:\tchunked\r\n', '5\r\nhello\r\n0\r\n\r\n'), 'hello'],
      ['large letters', post('tRANSFER-eNCODING: CHUNKED\r\n', '5\r\nhello\r\n0\r\n\r\n'), 'hello'],
      ['zeros before a size', chunked('0005\r\nhello\r\n00\r\n\r\n'), 'hello'],
      ['zeros before a length', post('Content-Length: 0005\r\n', 'hello'), 'hello'],
      ['sizes in either case', chunked(`A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n`), '01234567890123456789'],
      ['extensions', chunked('5;a=1;b="2"\r\nhello\r\n0;last\r\n\r\n'), 'hello'],
      ['trailers that would frame', chunked(`5\r\nhello\r\n0\r\nContent-Length: 100\r\nTransfer-Encoding: chunked\r\nHost: other\r\n\r\n`), 'hello'],
      ['trailers that are none', chunked('5\r\nhello\r\n0\r\nX\r\n Content-Length: 100\r\n\r\n'), 'hello'],
      ['white space behind a size', chunked('5 \r\nhello\r\n0\t\r\n\r\n'), 'hello'],
      ['a request in a body', post(`Content-Length: ${HIDDEN.length}\r\n`, HIDDEN), HIDDEN],
      ['a request in a chunk', chunked(`${HIDDEN.length.toString(16)}\r\n${HIDDEN}\r\n0\r\n\r\n`), HIDDEN],
      ['a request in the body of a GET', `${get(`Content-Length: ${HIDDEN.length}\r\n`)}${HIDDEN}`, HIDDEN],
      ['a length in an underscored name', post('Content_Length: 100\r\nContent-Length: 5\r\n', 'hello'), 'hello'],
    ]) {
      origin.forget();
      assert.equal((await exchange(raw, bytes)).body, '/', what);
      const [seen] = origin.requests;
      assert.equal(seen.body.toString(), expected, what);
      const framing = [seen.headers['content-length'], seen.headers['transfer-encoding']].filter(Boolean);
      assert.equal(framing.length, 1, what);
      assert.doesNotMatch(framing[0], /,/, what);
      assert.equal((await exchange(raw, 'GET /next HTTP/1.1\r\nHost: h\r\n\r\n')).body, '/next', what);
      assert.deepEqual(origin.requests.map(({ path }) => path), ['/', '/next'], what);
    }
    // Trailers are not passed on, whatever they say.
    assert.doesNotMatch(origin.text, /Content-Length: 100\r\n\r\n|Host: other/);
  });

  scene('an absolute target decides about host and route, whatever Host says', async (s) => {
    const { gateway, origin } = await stage(s, { routes: [{ path: '/', host: 'a.example.com', pool: 'p' }] });
    const raw = await s.connect(gateway.port);
    assert.equal((await exchange(raw, 'GET http://a.example.com/x HTTP/1.1\r\nHost: b.example.com\r\n\r\n')).body, '/x');
    assert.equal(origin.requests[0].headers.host, 'a.example.com');
    assert.doesNotMatch(origin.text, /b\.example/);
    assert.equal((await exchange(raw, 'GET http://b.example.com/x HTTP/1.1\r\nHost: a.example.com\r\n\r\n')).status, 404);
    assert.equal(origin.requests.length, 1);
  });

  scene('what never ends is given up at its deadline or its limit', async (s) => {
    const { gateway, origin } = await stage(s, { limits: { header_timeout: '300ms', body_timeout: '300ms' } });
    for (const [what, text, status] of [
      ['a request line', 'GET /', 408],
      ['a head', 'GET / HTTP/1.1\r\nHost: h\r\nX: 1\r\n', 408],
      ['a body', post('Content-Length: 10\r\n', 'hello'), 408],
      ['a chunk', chunked('a\r\nhello'), 408],
      ['a chunk size', chunked('5\r\nhello\r\n'), 408],
      ['trailers', chunked('5\r\nhello\r\n0\r\nX: 1\r\n'), 408],
    ]) {
      const raw = await s.connect(gateway.port);
      raw.write(text);
      const answer = await raw.head().catch((error) => Promise.reject(new Error(`${what}: ${error.message}`)));
      assert.equal(answer.status, status, what);
      assert.equal(answer.headers.connection, 'close', what);
      await raw.ended();
    }
    assert.equal(origin.requests.length, 0);
    await waitFor('the connections to the server to end', () => origin.connections.every((c) => c.raw.hasEnded));
    await isWell(s, gateway, origin);
  });
});

// ---- HTTP/2 ----

const PSEUDO = [[':method', 'GET'], [':scheme', 'http'], [':path', '/'], [':authority', 'h']];
const without = (name) => PSEUDO.filter(([each]) => each !== name);
const withPseudo = (name, value) => PSEUDO.map(([each, was]) => [each, each === name ? value : was]);

describe('smuggling: requests over HTTP/2', { concurrency: true }, () => {
  scene('malformed requests are reset or answered with 400, and the connection lives on', async (s) => {
    const { gateway, origin } = await stage(s);
    const rows = [
      ['no method', without(':method')],
      ['no scheme', without(':scheme')],
      ['no path', without(':path')],
      ['no authority', without(':authority')],
      ['two methods', [[':method', 'POST'], ...PSEUDO]],
      ['two paths', [...PSEUDO, [':path', '/hidden']]],
      ['two authorities', [...PSEUDO, [':authority', 'other']]],
      ['a status', [...PSEUDO, [':status', '200']]],
      ['an unknown pseudo-header', [...PSEUDO, [':hidden', '1']]],
      ['a protocol without CONNECT', [...PSEUDO, [':protocol', 'websocket']]],
      ['a pseudo-header behind a field', [...without(':authority'), ['x', '1'], [':authority', 'h']]],
      ['an empty path', withPseudo(':path', '')],
      ['a path of no root', withPseudo(':path', 'hidden')],
      ['an absolute path', withPseudo(':path', 'http://other/hidden')],
      ['a fragment', withPseudo(':path', '/#hidden')],
      ['a space in the path', withPseudo(':path', '/ HTTP/1.1')],
      ['a line end in the path', withPseudo(':path', '/ HTTP/1.1\r\nX: hidden')],
      ['NUL in the path', withPseudo(':path', '/\0')],
      ['beyond ASCII in the path', withPseudo(':path', '/\xe9')],
      ['a star for GET', withPseudo(':path', '*')],
      ['a user in the authority', withPseudo(':authority', 'me@h')],
      ['a line end in the authority', withPseudo(':authority', 'h\r\nX: hidden')],
      ['a path in the authority', withPseudo(':authority', 'h/hidden')],
      ['a space in the authority', withPseudo(':authority', 'h hidden')],
      ['a host that is not the authority', [...PSEUDO, ['host', 'other']]],
      ['two hosts', [...without(':authority'), ['host', 'h'], ['host', 'other']]],
      ['a space in the method', withPseudo(':method', 'GET /hidden')],
      ['a line end in the method', withPseudo(':method', 'GET / HTTP/1.1\r\nX: hidden\r\n')],
      ['a scheme that is none', withPseudo(':scheme', 'http://other/hidden?')],
      ['large letters in a name', [...PSEUDO, ['X-Hidden', '1']]],
      ['an empty name', [...PSEUDO, ['', 'hidden']]],
      ['a space in a name', [...PSEUDO, ['x hidden', '1']]],
      ['a colon in a name', [...PSEUDO, ['x:hidden', '1']]],
      ['a line end in a name', [...PSEUDO, ['x: 1\r\nhidden', '1']]],
      ['a line end in a value', [...PSEUDO, ['x', '1\r\nhidden: 1']]],
      ['a line feed in a value', [...PSEUDO, ['x', '1\nhidden: 1']]],
      ['a return in a value', [...PSEUDO, ['x', '1\rhidden']]],
      ['a whole request in a value', [...PSEUDO, ['x', `1\r\n\r\n${HIDDEN}`]]],
      ['NUL in a value', [...PSEUDO, ['x', 'a\0hidden']]],
      ['connection', [...PSEUDO, ['connection', 'close']]],
      ['keep-alive', [...PSEUDO, ['keep-alive', '5']]],
      ['proxy-connection', [...PSEUDO, ['proxy-connection', 'keep-alive']]],
      ['transfer-encoding', [...PSEUDO, ['transfer-encoding', 'chunked']]],
      ['upgrade', [...PSEUDO, ['upgrade', 'websocket']]],
      ['te of chunked', [...PSEUDO, ['te', 'chunked']]],
      ['two lengths', [...PSEUDO, ['content-length', '0'], ['content-length', '5']]],
      ['a list of lengths', [...PSEUDO, ['content-length', '0, 0']]],
      ['a length with a sign', [...PSEUDO, ['content-length', '+0']]],
      ['a length without its body', [...PSEUDO, ['content-length', '5']]],
    ];
    for (const [what, fields] of rows) {
      const h = await H2Raw.connect(s, gateway.port);
      const outcome = await h.outcome(h.request(fields));
      assert.ok([400, `reset ${CODE.protocol}`].includes(outcome), `${what}: ${outcome}`);
      const next = h.request(withPseudo(':path', '/next'));
      assert.equal(await h.outcome(next, { whole: true }), 200, `behind ${what}`);
      assert.equal(h.stream(next).data.toString(), '/next');
      h.destroy();
    }
    assert.doesNotMatch(origin.text, /hidden|other/i);
    assert.deepEqual([...new Set(origin.heads.map(({ line }) => line))], ['GET /next HTTP/1.1']);
    await isWell(s, gateway, origin);
  });

  scene('bodies of another length than announced: what is too much goes nowhere, what is too little is never whole', async (s) => {
    const { gateway, origin } = await stage(s);
    const posted = (path, ...more) => [...withPseudo(':method', 'POST').map(([name, value]) => [name, name === ':path' ? path : value]), ...more];
    for (const [path, ...parts] of [['/longer', 'hello', HIDDEN], ['/longer', `hello${HIDDEN}`], ['/shorter', 'hell']]) {
      const h = await H2Raw.connect(s, gateway.port);
      const id = h.request(posted(path, ['content-length', '5']), { end: false });
      parts.forEach((part, i) => h.data(id, part, { end: i === parts.length - 1 }));
      const outcome = await h.outcome(id);
      // The five bytes may have been answered before the others came.
      assert.ok([400, `reset ${CODE.protocol}`, ...(parts.length > 1 ? [200] : [])].includes(outcome), `${path}: ${outcome}`);
      h.destroy();
    }
    // Trailers that would frame it anew.
    const h = await H2Raw.connect(s, gateway.port);
    for (const trailer of [['transfer-encoding', 'chunked'], ['content-length', '100'], [':path', '/hidden'], ['x', '1\r\nhidden: 1']]) {
      const id = h.request(posted('/trailer'), { end: false });
      h.data(id, 'hello').headers(id, [trailer], { end: true });
      assert.equal(await h.outcome(id), `reset ${CODE.protocol}`, trailer[0]);
    }
    const fine = h.request(posted('/fine'), { end: false });
    h.data(fine, HIDDEN).headers(fine, [['x-trailer', 'dropped']], { end: true });
    assert.equal(await h.outcome(fine), 200);
    for (const { path, body } of origin.requests) assert.equal(body.toString(), { '/longer': 'hello', '/fine': HIDDEN }[path], path);
    assert.equal(origin.requests.at(-1).path, '/fine');
    assert.doesNotMatch(origin.text, /trailer:|dropped/i);
    await isWell(s, gateway, origin);
  });

  scene('frames out of order, of the wrong size or on the wrong stream end the connection', async (s) => {
    const { gateway, origin } = await stage(s);
    const ok = block(PSEUDO);
    for (const [what, bytes] of [
      ['DATA on no stream', h2Frame(TYPE.data, FLAG.endStream, 0, 'hidden')],
      ['DATA on an idle stream', h2Frame(TYPE.data, FLAG.endStream, 1, 'hidden')],
      ['HEADERS on an even stream', h2Frame(TYPE.headers, FLAG.endHeaders | FLAG.endStream, 2, ok)],
      ['CONTINUATION of nothing', h2Frame(TYPE.continuation, FLAG.endHeaders, 1, ok)],
      ['another stream within a head', Buffer.concat([h2Frame(TYPE.headers, 0, 1, ok), h2Frame(TYPE.headers, 5, 3, ok)])],
      ['a head that depends on itself in its padding', h2Frame(TYPE.headers, FLAG.endHeaders | FLAG.endStream | FLAG.padded, 1, Buffer.from([255, 0]))],
      ['a broken header block', h2Frame(TYPE.headers, FLAG.endHeaders | FLAG.endStream, 1, Buffer.from([0x40, 0xff, 0xff, 0xff, 0xff, 0xff]))],
      ['an index of nothing', h2Frame(TYPE.headers, FLAG.endHeaders | FLAG.endStream, 1, Buffer.from([0xff, 0x7f]))],
      ['SETTINGS of five bytes', h2Frame(TYPE.settings, 0, 0, 'hello')],
      ['PING of five bytes', h2Frame(TYPE.ping, 0, 0, 'hello')],
      ['a window of nothing', h2Frame(TYPE.window, 0, 0, Buffer.alloc(4))],
      ['a push by a client', h2Frame(TYPE.push, FLAG.endHeaders, 1, Buffer.concat([Buffer.from([0, 0, 0, 2]), ok]))],
      ['a frame beyond the limit', h2Frame(TYPE.data, 0, 1, Buffer.alloc(70000))],
    ]) {
      const h = await H2Raw.connect(s, gateway.port);
      h.write(bytes);
      await h.until(`${what}: a goodbye`, () => h.goaway && h.goaway.code !== CODE.none);
      assert.ok(h.goaway && h.goaway.code !== CODE.none, what);
      await h.ended();
      h.destroy();
    }
    for (const [what, text] of [['a preface cut off', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\rX'], ['its beginning alone', 'PRI * HTTP/2.0\r\n\r\nGET / HTTP/1.1\r\n\r\n']]) {
      const raw = await s.connect(gateway.port);
      raw.write(text);
      assert.ok(await raw.ended(), what);
    }
    assert.equal(origin.text, '');
    await isWell(s, gateway, origin);
  });

  scene('heads beyond the limits: 414 and 431, or the connection for what never ends', async (s) => {
    const { gateway, origin } = await stage(s);
    const h = await H2Raw.connect(s, gateway.port);
    assert.equal(await h.outcome(h.request(withPseudo(':path', `/${LONG}`))), 414);
    const wide = h.request([...PSEUDO, ['x', LONG]], { flags: 0 });
    h.write(h2Frame(TYPE.continuation, FLAG.endHeaders, wide, block([['y', LONG]])));
    assert.equal(await h.outcome(wide), 431);
    assert.equal(await h.outcome(h.request([...PSEUDO, ...Array(101).fill(['x', '1'])])), 431);
    assert.equal(await h.outcome(h.request(PSEUDO)), 200);
    const endless = await H2Raw.connect(s, gateway.port);
    endless.request(PSEUDO, { flags: 0 });
    for (let i = 0; i < 64; i++) endless.write(h2Frame(TYPE.continuation, 0, 1, block([['x', 'x'.repeat(4000)]])));
    await endless.ended();
    assert.equal(origin.requests.length, 1);
    await isWell(s, gateway, origin);
  });
});

// ---- hostile servers ----

const SMUGGLED = 'HTTP/1.1 200 OK\r\nContent-Length: 8\r\nX-Smuggled: 1\r\n\r\nsmuggled';

// A client that asks twice, on one connection as long as that is open: first for what goes wrong, then for something of its own.
async function asksTwice(s, gateway, method = 'GET') {
  const raw = await s.connect(gateway.port);
  raw.write(`${method} /bad HTTP/1.1\r\nHost: h\r\n\r\n`);
  const head = await raw.head();
  let body = '';
  let isCut = false;
  try {
    body = (await readBody(raw, method === 'HEAD' || head.status === 204 || head.status === 304 ? { headers: {} } : head)).toString();
  } catch {
    isCut = true; // the end of the connection came before the end of the body
  }
  const next = raw.hasEnded || head.headers.connection === 'close' ? await s.connect(gateway.port) : raw;
  const second = await exchange(next, 'GET /mine HTTP/1.1\r\nHost: h\r\n\r\n');
  assert.equal(raw.bytes.toString('latin1'), '', 'nothing behind the answers');
  return { status: head.status, text: head.text, body, isCut, second };
}

describe('smuggling: answers of hostile servers', { concurrency: true }, () => {
  scene('HTTP/1.1 heads: 502, nothing of them passes, and the connection is not used again', async (s) => {
    let bad;
    const { gateway, origin } = await stage(s, { answer: ({ path }) => (path === '/bad' ? Buffer.from(bad, 'latin1') : reply(path)) });
    const answer = (fields, body = '') => `HTTP/1.1 200 OK\r\n${fields}\r\n${body}${SMUGGLED}`;
    for (const [what, bytes] of [
      ['two lengths', answer('Content-Length: 0\r\nContent-Length: 5\r\n', 'hello')],
      ['a list of lengths', answer('Content-Length: 5, 5\r\n', 'hello')],
      ['a length with a sign', answer('Content-Length: +5\r\n', 'hello')],
      ['less than nothing', answer('Content-Length: -1\r\n')],
      ['more than fits', answer('Content-Length: 18446744073709551616\r\n')],
      ['a length and a coding', answer('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n')],
      ['chunked twice', answer('Transfer-Encoding: chunked, chunked\r\n', '0\r\n\r\n')],
      ['an unknown coding', answer('Transfer-Encoding: xchunked\r\n', '0\r\n\r\n')],
      ['another coding before', answer('Transfer-Encoding: gzip, chunked\r\n', '0\r\n\r\n')],
      ['a coding in HTTP/1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
      ['a space before the colon', answer('Content-Length : 5\r\n', 'hello')],
      ['a folded line', answer('X: 1\r\n Content-Length: 5\r\n', 'hello')],
      ['a line feed alone', 'HTTP/1.1 200 OK\nContent-Length: 5\n\nhello'],
      ['a return alone', answer('X: 1\rContent-Length: 5\r\n')],
      ['NUL in a value', answer('X: \0\r\nContent-Length: 0\r\n')],
      ['NUL in a name', answer('X\0: 1\r\nContent-Length: 0\r\n')],
      ['no colon', answer('Content-Length\r\n')],
      ['another protocol', 'SSH-2.0-OpenSSH_9.2\r\n\r\n'],
      ['no version', `200 OK\r\n\r\n${SMUGGLED}`],
      ['HTTP/2', `HTTP/2.0 200 OK\r\n\r\n${SMUGGLED}`],
      ['a status of two digits', `HTTP/1.1 20 OK\r\n\r\n${SMUGGLED}`],
      ['a status of four digits', `HTTP/1.1 2000 OK\r\n\r\n${SMUGGLED}`],
      ['a status of no kind', `HTTP/1.1 600 OK\r\n\r\n${SMUGGLED}`],
      ['a switch nobody asked for', `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n${SMUGGLED}`],
      ['an empty line in front', `\r\n${SMUGGLED}`],
      ['an endless field', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100000)}`],
      ['endless fields', `HTTP/1.1 200 OK\r\n${'X: 1\r\n'.repeat(10000)}`],
      ['endless interim answers', `${'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'.repeat(5000)}`],
    ]) {
      bad = bytes;
      const { status, text, body, second } = await asksTwice(s, gateway).catch((error) => Promise.reject(new Error(`${what}: ${error.message}`)));
      assert.equal(status, 502, what);
      assert.doesNotMatch(text + body, /smuggled|hello|SSH|xxxx/i, what);
      assert.equal(second.body, '/mine', what);
      await waitFor(`${what}: the end of that connection`, () => origin.connections.filter((c) => !c.raw.hasEnded).every((c) => c.count === 1));
      for (const c of origin.connections) c.raw.destroy(); // the next row has connections of its own
      await waitFor('the connections to go', () => origin.connections.every((c) => c.raw.hasEnded));
      origin.forget();
    }
    assert.equal((await gateway.processes())['worker-0'].restarts, 0);
  });

  scene('HTTP/1.1 bodies: a broken one breaks off the client\'s answer, more than the whole is dropped', async (s) => {
    let bad;
    const { gateway, origin } = await stage(s, { answer: ({ path }) => (path === '/bad' ? Buffer.from(bad, 'latin1') : reply(path)) });
    const chunks = (body) => `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${body}${SMUGGLED}`;
    for (const [what, bytes, { method = 'GET', status = 200, body = '', isCut = false } = {}] of [
      ['a second answer behind a length', `HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello${SMUGGLED}`, { body: 'hello' }],
      ['a second answer behind chunks', chunks('5\r\nhello\r\n0\r\n\r\n'), { body: 'hello' }],
      ['a second answer behind trailers', chunks('5\r\nhello\r\n0\r\nContent-Length: 100\r\n\r\n'), { body: 'hello' }],
      ['a body behind 204', `HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello${SMUGGLED}`, { status: 204 }],
      ['a body behind 304', `HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello${SMUGGLED}`, { status: 304 }],
      ['a body for HEAD', `HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello${SMUGGLED}`, { method: 'HEAD' }],
      ['no size', chunks('\r\nhello\r\n0\r\n\r\n'), { isCut: true }],
      ['a sign', chunks('+5\r\nhello\r\n0\r\n\r\n'), { isCut: true }],
      ['a prefix', chunks('0x5\r\nhello\r\n0\r\n\r\n'), { isCut: true }],
      ['a space in front', chunks(' 5\r\nhello\r\n0\r\n\r\n'), { isCut: true }],
      ['more than fits', chunks('ffffffffffffffff\r\nhello\r\n0\r\n\r\n'), { isCut: true }],
      ['a size fed without return', chunks('5\nhello\r\n0\r\n\r\n'), { isCut: true }],
      ['data too long', chunks('5\r\nhello!\r\n0\r\n\r\n'), { isCut: true }],
      ['an oversized extension', chunks(`5;${LONG}\r\nhello\r\n0\r\n\r\n`), { isCut: true }],
      ['oversized trailers', chunks(`5\r\nhello\r\n0\r\nX: ${LONG}\r\n\r\n`), { isCut: true }],
    ]) {
      bad = bytes;
      const seen = await asksTwice(s, gateway, method).catch((error) => Promise.reject(new Error(`${what}: ${error.message}`)));
      // What is broken from its first byte may still be answered with 502 instead of being broken off.
      if (isCut) assert.ok(seen.isCut || seen.status === 502, `${what}: ${seen.status} ${seen.body}`);
      else assert.deepEqual([seen.status, seen.body, seen.isCut], [status, body, false], what);
      assert.doesNotMatch(seen.text + seen.body, /smuggled/i, what);
      assert.equal(seen.second.body, '/mine', what);
      assert.equal(seen.second.headers['x-smuggled'], undefined, what);
      await waitFor(`${what}: the end of that connection`, () => origin.connections.filter((c) => !c.raw.hasEnded).every((c) => c.count === 1));
      for (const c of origin.connections) c.raw.destroy();
      await waitFor('the connections to go', () => origin.connections.every((c) => c.raw.hasEnded));
      origin.forget();
    }
    assert.equal((await gateway.processes())['worker-0'].restarts, 0);
  });

  scene('a server that speaks without being asked is not heard, and loses its kept connection', async (s) => {
    const { gateway, origin } = await stage(s);
    const raw = await s.connect(gateway.port);
    assert.equal((await exchange(raw, 'GET /1 HTTP/1.1\r\nHost: h\r\n\r\n')).body, '/1');
    const [kept] = origin.connections;
    kept.raw.write(SMUGGLED);
    await kept.raw.ended();
    assert.equal((await exchange(raw, 'GET /2 HTTP/1.1\r\nHost: h\r\n\r\n')).body, '/2');
    assert.equal(origin.connections.length, 2);
  });

  scene('HTTP/2 answers that are malformed: 502, and other streams of that connection are not harmed', async (s) => {
    const ok = [[':status', '200']];
    const rows = [
      ['no status', [['x', '1']]],
      ['two statuses', [[':status', '200'], ...ok]],
      ['a status of letters', [[':status', 'abc']]],
      ['a status of two digits', [[':status', '20']]],
      ['a path', [...ok, [':path', '/smuggled']]],
      ['a pseudo-header behind a field', [['x', '1'], ...ok]],
      ['large letters in a name', [...ok, ['X-Smuggled', '1']]],
      ['a line end in a name', [...ok, ['x: 1\r\nsmuggled', '1']]],
      ['a line end in a value', [...ok, ['x', `1\r\n\r\n${SMUGGLED}`]]],
      ['NUL in a value', [...ok, ['x', 'smuggled\0']]],
      ['connection', [...ok, ['connection', 'close']]],
      ['transfer-encoding', [...ok, ['transfer-encoding', 'chunked']]],
      ['upgrade', [...ok, ['upgrade', 'h2c']]],
      ['two lengths', [...ok, ['content-length', '0'], ['content-length', '8']]],
      ['a switch of protocols', [[':status', '101']]],
    ];
    // Requests come one after the other: a row's, then an honest one, and at the end the one whose length is wrong.
    let count = 0;
    const port = await s.server(async (raw) => {
      const h = await H2Raw.accept(raw).catch(() => null);
      for (let served = 0; h && (await h.until('a stream', () => h.opened.length > served, 1e6)) && !h.hasEnded; served++) {
        const id = h.opened[served];
        const turn = count++;
        if (turn === 2 * rows.length) h.headers(id, [...ok, ['content-length', '5']]).data(id, 'hello, smuggled', { end: true });
        else if (turn % 2 === 0) h.headers(id, rows[turn / 2][1], { end: true });
        else h.headers(id, ok).data(id, 'mine', { end: true });
      }
    });
    const gateway = await s.gateway({
      pools: { p: { http: 'h2', check: { type: 'none' }, circuit: { failures: 0 }, max_retries: 0, servers: [{ name: 'a', url: `http://127.0.0.1:${port}` }] } },
      routes: [{ path: '/', pool: 'p' }],
    });
    for (const [what] of rows) {
      const answer = await exchange(await s.connect(gateway.port), 'GET /bad HTTP/1.1\r\nHost: h\r\n\r\n');
      assert.equal(answer.status, 502, what);
      assert.doesNotMatch(answer.text + answer.body, /smuggled/i, what);
      assert.equal((await exchange(await s.connect(gateway.port), 'GET /mine HTTP/1.1\r\nHost: h\r\n\r\n')).body, 'mine', what);
    }
    const raw = await s.connect(gateway.port);
    raw.write('GET /length HTTP/1.1\r\nHost: h\r\n\r\n');
    await raw.ended();
    assert.doesNotMatch(raw.bytes.toString(), /smuggled/);
    assert.equal((await gateway.processes())['worker-0'].restarts, 0);
  });
});
