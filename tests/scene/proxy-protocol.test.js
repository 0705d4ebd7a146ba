// The PROXY protocol: what haproxy says about clients is believed, what others say is not, and oddities cost the connection.
'use strict';

const assert = require('node:assert/strict');
const net = require('node:net');
const { describe } = require('node:test');
const { Authority, Client, Origin, curl, exchange, frame, h2Ask, h2Connect, haproxy, reply, scene, upgradeRequest, waitFor } = require('./lib');

const TRUSTED = '127.0.0.9';
const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';

// A gateway whose plain and TLS listeners expect the header from TRUSTED; its origin says who the client is.
async function stage(s, { route, ...rest } = {}) {
  const origin = await Origin.start(s, ({ headers }) => reply(`${headers['x-forwarded-for']} ${headers['x-forwarded-proto']}`));
  const region = await s.region();
  const { cert, key } = await (await Authority.create(s)).issue('gateway', ['www.example.test']);
  const tlsPort = await s.freePort();
  const gateway = await s.gateway((g) => ({
    listen: [
      { address: `127.0.0.1:${g.port}`, proxy_protocol: true },
      { address: `127.0.0.1:${tlsPort}`, proxy_protocol: true, tls: { certificates: [{ cert, key }] } },
    ],
    trusted_proxies: [`${TRUSTED}/32`],
    pools: {
      p: { check: { type: 'none' }, servers: [{ name: 'a', url: origin.url }] },
      sockets: { check: { type: 'none' }, servers: [{ name: 'a', url: region.url }] },
    },
    routes: [{ name: 'all', path: '/', pool: 'p', ...route }, { name: 'sockets', path: '/echo', pool: 'sockets' }],
    ...rest,
  }));
  return { gateway, origin, region, tlsPort };
}

// A header of version 2. `address`: the two IPv4 addresses and ports; null for one that says nothing.
function version2({ command = 1, family = 0x11, address = [192, 0, 2, 7, 192, 0, 2, 1, 0x12, 0x34, 0x01, 0xbb], more = [], length } = {}) {
  const body = Buffer.from([...(address ?? []), ...more]);
  const head = Buffer.from('0d0a0d0a000d0a515549540a00000000', 'hex');
  head[12] = 0x20 | command;
  head[13] = family;
  head.writeUInt16BE(length ?? body.length, 14);
  return Buffer.concat([head, body]);
}

describe('PROXY protocol', { concurrency: true }, () => {
  for (const version of ['send-proxy', 'send-proxy-v2']) {
    scene(`haproxy with ${version}: its clients are ours, over whatever they speak`, async (s) => {
      const { gateway, region, tlsPort } = await stage(s);
      const [plain, secure] = await haproxy(s, [`127.0.0.1:${gateway.port} ${version} source ${TRUSTED}`, `127.0.0.1:${tlsPort} ${version} source ${TRUSTED}`]);
      const from = (address) => ['--interface', address];
      assert.equal((await curl(...from('127.0.0.33'), `http://127.0.0.1:${plain}/`)).text, '127.0.0.33 http');
      assert.equal((await curl(...from('127.0.0.34'), '--http2-prior-knowledge', `http://127.0.0.1:${plain}/`)).text, '127.0.0.34 http');
      assert.equal((await curl(...from('127.0.0.35'), '-k', '--http1.1', `https://127.0.0.1:${secure}/`)).text, '127.0.0.35 https');
      const h2 = await curl(...from('127.0.0.36'), '-k', '--http2', '-w', ' %{http_version}', `https://127.0.0.1:${secure}/`);
      assert.equal(h2.text, '127.0.0.36 https 2');
      const c = await Client.open(s, `wss://127.0.0.1:${secure}/echo`, { rejectUnauthorized: false, localAddress: '127.0.0.37' });
      assert.equal(await c.ask('hello'), 'hello');
      assert.equal((await region.lastRequest('/echo')).headers['x-forwarded-for'], '127.0.0.37');
      await gateway.process.line(/request answered.*client=127\.0\.0\.36 .*protocol=HTTP\/2\.0.*tls=TLSv1\.3/);
      await c.close();
      await gateway.process.line(/websocket closed.*client=127\.0\.0\.37 /);
      // What a client says about itself is not believed on the way.
      const raw = await s.connect(plain, { from: '127.0.0.38' });
      assert.equal((await exchange(raw, GET.replace('\r\n\r\n', '\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n'))).body, '127.0.0.38 http');
    });
  }

  scene('the header in all its forms, in one piece or byte by byte', async (s) => {
    const { gateway } = await stage(s);
    const extensions = [0x01, 0, 2, 0x68, 0x32, 0x04, 0, 1, 0, 0xe0, 0, 3, 1, 2, 3];
    for (const [what, header, client] of [
      ['TCP4', 'PROXY TCP4 192.0.2.7 192.0.2.1 4660 443\r\n', '192.0.2.7'],
      ['TCP6', 'PROXY TCP6 2001:db8::7 2001:db8::1 4660 443\r\n', '2001:db8::7'],
      ['UNKNOWN', 'PROXY UNKNOWN\r\n', TRUSTED],
      ['UNKNOWN, at length', 'PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n', TRUSTED],
      ['version 2', version2(), '192.0.2.7'],
      ['version 2 over IPv6', version2({ family: 0x21, address: [...Buffer.from('20010db8000000000000000000000007', 'hex'), ...Buffer.from('20010db8000000000000000000000001', 'hex'), 1, 2, 1, 187] }), '2001:db8::7'],
      ['version 2 with extensions', version2({ more: extensions }), '192.0.2.7'],
      ['version 2, local', version2({ command: 0, family: 0, address: null }), TRUSTED],
      ['version 2 about a unix socket', version2({ family: 0x31, address: Array(216).fill(0) }), TRUSTED],
    ]) {
      const at = await s.connect(gateway.port, { from: TRUSTED });
      assert.equal((await exchange(at, Buffer.concat([Buffer.from(header), Buffer.from(GET)]))).body, `${client} http`, what);
      const pieces = await s.connect(gateway.port, { from: TRUSTED });
      for (const byte of Buffer.from(header)) await new Promise((resolve) => pieces.socket.write(Buffer.from([byte]), resolve));
      assert.equal((await exchange(pieces, GET)).body, `${client} http`, `${what}, byte by byte`);
    }
    // With HTTP/2 and with a WebSocket behind it in the same packet.
    const session = await h2Connect(s, `http://127.0.0.1:${gateway.port}`, {
      createConnection: () => {
        const socket = net.connect({ port: gateway.port, host: '127.0.0.1', localAddress: TRUSTED });
        socket.write(version2());
        return socket;
      },
    });
    assert.equal((await h2Ask(session)).body.toString(), '192.0.2.7 http');
    const socket = await s.connect(gateway.port, { from: TRUSTED });
    socket.write(Buffer.concat([version2(), Buffer.from(upgradeRequest({ path: '/echo' })), frame({ payload: 'early', mask: true })]));
    assert.equal((await socket.head()).status, 101);
    assert.equal((await socket.frame()).payload.toString(), 'early');
  });

  scene('anything else from a trusted proxy is dropped without a word, and so is one that never ends', async (s) => {
    const { gateway, origin } = await stage(s, { limits: { handshake_timeout: '300ms' } });
    for (const [what, bytes] of [
      ['no header', GET],
      ['another family', `PROXY UDP4 192.0.2.7 192.0.2.1 4660 443\r\n${GET}`],
      ['no port', `PROXY TCP4 192.0.2.7 192.0.2.1 4660\r\n${GET}`],
      ['a port too large', `PROXY TCP4 192.0.2.7 192.0.2.1 65536 443\r\n${GET}`],
      ['no address', `PROXY TCP4 192.0.2.777 192.0.2.1 4660 443\r\n${GET}`],
      ['an address of the other kind', `PROXY TCP4 2001:db8::7 192.0.2.1 4660 443\r\n${GET}`],
      ['two spaces', `PROXY TCP4  192.0.2.7 192.0.2.1 4660 443\r\n${GET}`],
      ['a line feed alone', `PROXY TCP4 192.0.2.7 192.0.2.1 4660 443\n${GET}`],
      ['a long line', `PROXY TCP4 ${'1'.repeat(200)}\r\n${GET}`],
      ['version 3', Buffer.concat([version2().fill(0x31, 12, 13), Buffer.from(GET)])],
      ['another command', Buffer.concat([version2({ command: 2 }), Buffer.from(GET)])],
      ['addresses cut short', Buffer.concat([version2({ address: [192, 0, 2, 7] }), Buffer.from(GET)])],
      ['more than anybody needs', version2({ more: Array(5000).fill(0) })],
      ['a wrong checksum', Buffer.concat([version2({ more: [0x03, 0, 4, 1, 2, 3, 4] }), Buffer.from(GET)])],
      ['the beginning of a line', 'PROXY TCP4 192.0.2.7'],
      ['the beginning of version 2', version2().subarray(0, 20)],
      ['nothing', ''],
    ]) {
      const raw = await s.connect(gateway.port, { from: TRUSTED });
      raw.write(bytes);
      await raw.ended();
      assert.equal(raw.bytes.length, 0, what);
      raw.destroy();
    }
    // Two of them: the second one is no request.
    const twice = await s.connect(gateway.port, { from: TRUSTED });
    assert.equal((await exchange(twice, `PROXY TCP4 192.0.2.7 192.0.2.1 1 2\r\nPROXY TCP4 192.0.2.8 192.0.2.1 1 2\r\n${GET}`)).status, 400);
    assert.equal(origin.heads.length, 0);
    assert.equal((await gateway.processes())['worker-0'].restarts, 0);
    await waitFor('nobody to be left', async () => (await gateway.metrics()).sum('client_connections') <= 1);
  });

  scene('who is not trusted is not let in at all, with or without a header', async (s) => {
    const { gateway, origin } = await stage(s);
    for (const bytes of [GET, `PROXY TCP4 192.0.2.7 192.0.2.1 4660 443\r\n${GET}`, Buffer.concat([version2(), Buffer.from(GET)])]) {
      const came = s.connect(gateway.port, { from: '127.0.0.21' }).then(async (raw) => {
        raw.write(bytes);
        await raw.ended();
        return raw.bytes.length;
      });
      assert.equal(await came.catch((error) => (error.code === 'ECONNRESET' ? 0 : Promise.reject(error))), 0);
    }
    assert.equal(origin.heads.length, 0);
  });

  scene('address lists and limits mean the client, not the proxy', async (s) => {
    const { gateway } = await stage(s, { limits: { per_client: 2 }, route: { deny: ['192.0.2.66/32'] } });
    const as = async (address) => {
      const raw = await s.connect(gateway.port, { from: TRUSTED });
      return exchange(raw, `PROXY TCP4 ${address} 192.0.2.1 1234 443\r\n${GET}`);
    };
    assert.equal((await as('192.0.2.66')).status, 403);
    for (let i = 0; i < 2; i++) assert.equal((await as('192.0.2.7')).status, 200);
    await assert.rejects(as('192.0.2.7'), /ECONNRESET/);
    for (let i = 0; i < 2; i++) assert.equal((await as('192.0.2.8')).status, 200);
  });
});
