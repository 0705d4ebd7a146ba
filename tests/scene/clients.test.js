// The clients and servers people use, through the gateway, as if it were not there.
'use strict';

const assert = require('node:assert/strict');
const http = require('node:http');
const { describe } = require('node:test');
const WebSocket = require('ws');
const mqtt = require('mqtt');
const phoenix = require('phoenix');
const { RealtimeClient } = require('@supabase/realtime-js');
const { Server: SocketIoServer } = require('socket.io');
const { io: socketIoClient } = require('socket.io-client');
const { Client, LOST, event, resetSocket, scene, waitFor, within } = require('./lib');

const MAX_MESSAGE = 1 << 20;

function front(s, ports, { pool, websocket } = {}) {
  return s.gateway({
    pools: { p: { check: { type: 'none' }, servers: ports.map((port, i) => ({ name: `server-${i}`, url: `ws://127.0.0.1:${port}` })), ...pool } },
    routes: [{ path: '/', pool: 'p', websocket: { max_message: `${MAX_MESSAGE}B`, ...websocket } }],
  });
}

// A server of the `ws` package on a port of its own, gone with the scene.
async function wsServer(s, options = {}) {
  const server = new WebSocket.Server({ host: '127.0.0.1', port: 0, ...options });
  await event(server, 'listening');
  s.atEnd(() => {
    for (const socket of server.clients) socket.terminate();
    server.close();
  });
  return Object.assign(server, { port: server.address().port });
}

// Client and server ends of one WebSocket through a gateway.
async function pair(s, options = {}) {
  const server = await wsServer(s);
  const gateway = await front(s, [server.port], options);
  const accepted = event(server, 'connection');
  const client = await Client.open(s, gateway.url, options.client);
  const [socket, request] = await accepted;
  return { gateway, client, server: new Client(socket), request };
}

describe('ws', { concurrency: true }, () => {
  scene('text, bytes and nothing at all, both ways', async (s) => {
    const { client, server } = await pair(s);
    for (const [from, to] of [[client, server], [server, client]]) {
      for (const message of ['hello', 'Grüße, 世界 🌊', '', Buffer.alloc(0), Buffer.from([0, 255, 128, 1]), 'x'.repeat(65535), Buffer.alloc(65536, 7)]) {
        from.send(message);
        assert.deepEqual(await to.message(), message);
      }
    }
  });

  scene('a message in fragments stays one, with pings in between', async (s) => {
    const { client, server } = await pair(s);
    for (const [from, to] of [[client, server], [server, client]]) {
      const pinged = event(to.socket, 'ping');
      from.socket.send('one, ', { fin: false });
      from.socket.ping('between');
      from.socket.send('two, ', { fin: false });
      from.socket.send('three', { fin: true });
      assert.equal(await to.message(), 'one, two, three');
      assert.equal((await pinged)[0].toString(), 'between');
    }
  });

  scene('pings and pongs of either side reach the other, and are not answered on the way', async (s) => {
    const { client, server } = await pair(s);
    for (const [from, to] of [[client, server], [server, client]]) {
      const [ping, pong] = [event(to.socket, 'ping'), event(from.socket, 'pong')];
      from.socket.ping('payload of 125 bytes'.padEnd(125, '.'));
      assert.equal((await ping)[0].length, 125);
      assert.match((await pong)[0].toString(), /^payload/);
      const unasked = event(to.socket, 'pong');
      from.socket.pong('heartbeat');
      assert.equal((await unasked)[0].toString(), 'heartbeat');
    }
  });

  scene('a message of the largest size passes, one byte more ends it with 1009', async (s) => {
    const { client, server } = await pair(s);
    const big = Buffer.alloc(MAX_MESSAGE, 'abcdefg');
    for (const [from, to] of [[client, server], [server, client]]) {
      from.send(big);
      const arrived = await to.message();
      assert.ok(big.equals(arrived));
    }
    client.send(Buffer.alloc(MAX_MESSAGE + 1));
    assert.equal((await client.closing()).code, 1009);
    assert.equal((await server.closing()).code, 1001);
  });

  scene('a server that says too much is told 1009, its client that it failed', async (s) => {
    const { client, server } = await pair(s);
    server.send(Buffer.alloc(MAX_MESSAGE + 1));
    assert.equal((await server.closing()).code, 1009);
    assert.equal((await client.closing()).code, 1011);
  });

  scene('a thousand messages at once come in order, both ways at the same time', async (s) => {
    const { client, server } = await pair(s);
    const count = 1000;
    const text = (i) => `${i} ${'x'.repeat((i * 37) % 2000)}`;
    for (let i = 0; i < count; i++) for (const side of [client, server]) side.send(text(i));
    for (let i = 0; i < count; i++) for (const side of [client, server]) assert.equal(await side.message(), text(i));
  });

  scene('close codes and reasons go through, whoever closes; a vanished peer is no good-bye', async (s) => {
    const server = await wsServer(s);
    const gateway = await front(s, [server.port]);
    const open = async () => {
      const accepted = event(server, 'connection');
      const client = await Client.open(s, gateway.url);
      return [client, new Client((await accepted)[0])];
    };
    for (const [code, reason] of [[1000, ''], [1000, 'done'], [1001, 'leaving'], [1008, 'policy'], [1011, 'oops'], [1012, 'restart'], [3000, ''], [4000, ''], [4999, 'Ü'.repeat(61)], [undefined, '']]) {
      for (const turn of [(x) => x, (x) => x.reverse()]) {
        const [from, to] = turn(await open());
        from.socket.close(code, reason);
        const end = { code: code ?? 1005, reason };
        assert.deepEqual(await to.closing(), end);
        assert.deepEqual(await from.closing(), { ...end, reason }); // `ws` answers with what it was told
      }
    }
    const [vanishing, left] = await open();
    vanishing.socket.terminate();
    assert.equal((await left.closing()).code, 1006);
    const [told, gone] = await open();
    gone.socket.terminate();
    assert.equal((await told.closing()).code, 1012);
  });

  scene('subprotocols are negotiated by the server, and only by it', async (s) => {
    const server = await wsServer(s, { handleProtocols: (offered) => (offered.has('chat.v2') ? 'chat.v2' : false) });
    const gateway = await front(s, [server.port]);
    assert.equal((await Client.open(s, gateway.url, { protocols: ['chat.v1', 'chat.v2'] })).socket.protocol, 'chat.v2');
    assert.equal((await Client.open(s, gateway.url)).socket.protocol, '');
  });

  scene('cookies, Origin, Authorization, path and query reach the server; an offer to compress does not', async (s) => {
    const { client, request } = await pair(s, {
      client: { origin: 'https://app.example.com', headers: { Cookie: 'sid=1; theme="dark"', Authorization: 'Bearer t' }, perMessageDeflate: true },
    });
    assert.equal(request.headers.origin, 'https://app.example.com');
    assert.equal(request.headers.cookie, 'sid=1; theme="dark"');
    assert.equal(request.headers.authorization, 'Bearer t');
    assert.equal(request.headers['x-forwarded-for'], '127.0.0.1');
    assert.equal(request.headers['sec-websocket-extensions'], undefined);
    assert.equal(client.socket.extensions, '');
  });

  scene('a server that refuses is heard', async (s) => {
    const server = await wsServer(s, { verifyClient: (info, done) => done(false, 401, 'who are you?', { 'WWW-Authenticate': 'Bearer' }) });
    const gateway = await front(s, [server.port]);
    const { refused } = await Client.open(s, gateway.url, { mayFail: true });
    assert.equal(refused.status, 401);
    assert.equal(refused.headers['www-authenticate'], 'Bearer');
  });

  scene('three hundred at once, spread over two servers, each with its own echo', async (s) => {
    const servers = await Promise.all([wsServer(s), wsServer(s)]);
    for (const server of servers)
      server.on('connection', (socket, request) => socket.on('message', (data, isBinary) => socket.send(`${request.url} ${data}`, { binary: isBinary })));
    const gateway = await front(s, servers.map((server) => server.port));
    const clients = await Promise.all(Array.from({ length: 300 }, (_, i) => Client.open(s, `${gateway.url}/${i}`, { ms: 15000 })));
    assert.deepEqual(servers.map((server) => server.clients.size), [150, 150]);
    for (let round = 0; round < 3; round++) {
      const answers = await Promise.all(clients.map((client) => client.ask(`round ${round}`, 15000)));
      assert.deepEqual(answers, clients.map((_, i) => `/${i} round ${round}`));
    }
  });

  scene('a server that is stopped says so itself; one that breaks off is 1012', async (s) => {
    const { client, server } = await pair(s);
    resetSocket(server.socket._socket);
    const { code, reason } = await client.closing();
    assert.equal(code, 1012);
    assert.match(reason, LOST);
  });
});

describe('socket.io', { concurrency: true }, () => {
  // A socket.io server on `port` (0: any) with a room that everybody can join and talk to.
  async function socketIo(s, name, port = 0) {
    const web = http.createServer();
    const server = new SocketIoServer(web, { transports: ['websocket'] });
    server.on('connection', (socket) => {
      socket.on('join', (room, ack) => {
        socket.join(room);
        ack(`${name}: in ${room}`);
      });
      socket.on('say', (room, what, ack) => {
        socket.to(room).emit('said', what);
        ack();
      });
    });
    web.listen(port, '127.0.0.1');
    await event(web, 'listening');
    const sockets = new Set();
    web.on('connection', (socket) => sockets.add(socket));
    const kill = () => {
      web.close();
      for (const socket of sockets) resetSocket(socket);
    };
    s.atEnd(() => {
      kill();
      return server.close();
    });
    return { port: web.address().port, kill };
  }

  async function connected(s, gateway) {
    const client = socketIoClient(gateway.url.replace('ws:', 'http:'), { transports: ['websocket'], reconnectionDelay: 20, reconnectionDelayMax: 50, forceNew: true });
    s.atEnd(() => client.disconnect());
    await event(client, 'connect');
    return client;
  }

  scene('rooms, acknowledgements and bytes', async (s) => {
    const server = await socketIo(s, 'a');
    const gateway = await front(s, [server.port]);
    const [a, b] = [await connected(s, gateway), await connected(s, gateway)];
    for (const client of [a, b]) assert.equal(await client.timeout(5000).emitWithAck('join', 'room'), 'a: in room');
    const heard = event(b, 'said');
    await a.timeout(5000).emitWithAck('say', 'room', { text: 'hi', bytes: Buffer.from([1, 2, 255]) });
    assert.deepEqual(await heard, [{ text: 'hi', bytes: Buffer.from([1, 2, 255]) }]);
  });

  scene('a server dies: the client comes back by itself and is in the other one', async (s) => {
    const [first, second] = [await socketIo(s, 'first'), await socketIo(s, 'second')];
    const gateway = await s.gateway({
      pools: {
        p: {
          check: { type: 'none' },
          servers: [first, second].map((server, i) => ({ name: `s${i}`, url: `ws://127.0.0.1:${server.port}`, tier: i === 0 ? 'primary' : 'backup' })),
        },
      },
      routes: [{ path: '/', pool: 'p' }],
    });
    const client = await connected(s, gateway);
    assert.equal(await client.timeout(5000).emitWithAck('join', 'x'), 'first: in x');
    const [lost, back] = [event(client, 'disconnect'), event(client, 'connect')];
    first.kill();
    assert.match((await lost)[0], /transport (close|error)/);
    await back;
    assert.equal(await client.timeout(5000).emitWithAck('join', 'x'), 'second: in x');
  });
});

describe('mqtt', { concurrency: true }, () => {
  scene('mosquitto over WebSocket: subscribe, publish with QoS 1 and 2, bytes, will', async (s) => {
    const broker = await s.mosquitto();
    const gateway = await front(s, [broker.port]);
    const connect = async (options = {}) => {
      const client = await within(5000, 'an MQTT session', mqtt.connectAsync(`${gateway.url}/mqtt`, { reconnectPeriod: 0, ...options }));
      s.atEnd(() => client.endAsync(true));
      return client;
    };
    const [a, b] = [await connect(), await connect({ will: { topic: 'boats/b', payload: 'sank', qos: 1 } })];
    const heard = [];
    a.on('message', (topic, payload, packet) => heard.push({ topic, payload, qos: packet.qos }));
    await a.subscribeAsync('boats/#', { qos: 2 });
    const bytes = Buffer.from(Array.from({ length: 70000 }, (_, i) => i & 255));
    await b.publishAsync('boats/1', 'hello', { qos: 1 });
    await b.publishAsync('boats/2', bytes, { qos: 2 });
    await waitFor('two messages', () => heard.length === 2);
    assert.deepEqual(heard, [{ topic: 'boats/1', payload: Buffer.from('hello'), qos: 1 }, { topic: 'boats/2', payload: bytes, qos: 2 }]);
    b.stream.destroy();
    await waitFor('the will of one who vanished', () => heard.length === 3);
    assert.equal(heard[2].payload.toString(), 'sank');
  });
});

describe('phoenix', { concurrency: true }, () => {
  const answer = (push) => within(5000, 'an answer', new Promise((resolve) => {
    for (const status of ['ok', 'error', 'timeout']) push.receive(status, (response) => resolve([status, response]));
  }));
  const subscribed = (channel) => within(5000, 'the subscription', new Promise((resolve, reject) => {
    channel.subscribe((status, error) => {
      if (status === 'SUBSCRIBED') resolve();
      else if (status !== 'CLOSED') reject(error ?? new Error(status));
    });
  }));

  scene('phoenix: join, push, broadcast, leave, and back again after the region was killed', async (s) => {
    const [us, eu] = [await s.region({ name: 'us-a' }), await s.region({ name: 'eu-a' })];
    const gateway = await front(s, [us.port, eu.port], {
      pool: { servers: [{ name: 'us-a', url: us.url }, { name: 'eu-a', url: eu.url, tier: 'backup' }] },
    });
    const sockets = [1, 2].map(() => {
      const socket = new phoenix.Socket(`${gateway.url}/socket`, { transport: WebSocket, reconnectAfterMs: () => 20, rejoinAfterMs: () => 20 });
      socket.connect();
      s.atEnd(() => new Promise((resolve) => socket.disconnect(resolve)));
      return socket;
    });
    const [room, other] = sockets.map((socket) => socket.channel('room:1', {}));
    for (const each of [room, other]) assert.deepEqual(await answer(each.join()), ['ok', { region: 'us-a' }]);
    const heard = new Promise((resolve) => other.on('new_msg', resolve));
    assert.equal((await answer(room.push('new_msg', { text: 'hi' })))[0], 'ok');
    assert.deepEqual(await within(5000, 'the message', heard), { text: 'hi' });
    assert.equal((await answer(other.leave()))[0], 'ok');
    const lost = new Promise((resolve) => room.onError(resolve));
    await us.kill();
    await within(5000, 'the loss of the room', lost);
    await waitFor('the room', () => room.state === 'joined');
    assert.equal((await answer(room.push('whoami', {})))[1].region, 'eu-a');
  });

  scene('realtime-js: broadcast with acknowledgement, and presence', async (s) => {
    const region = await s.region();
    const gateway = await front(s, [region.port]);
    const clients = [1, 2].map(() => {
      const client = new RealtimeClient(`${gateway.url}/socket`, { params: { apikey: 'none' }, transport: WebSocket });
      s.atEnd(() => client.disconnect());
      return client;
    });
    const channels = clients.map((client, i) => client.channel('harbour', { config: { broadcast: { ack: true }, presence: { key: `boat-${i}` } } }));
    const [first, second] = channels;
    const heard = new Promise((resolve) => second.on('broadcast', { event: 'horn' }, (message) => resolve(message.payload)));
    for (const channel of channels) {
      channel.on('presence', { event: 'sync' }, () => {});
      await subscribed(channel);
    }
    assert.equal(await first.send({ type: 'broadcast', event: 'horn', payload: { long: 1 } }), 'ok');
    assert.deepEqual(await within(5000, 'the broadcast', heard), { long: 1 });
    for (const [i, channel] of channels.entries()) assert.equal(await channel.track({ at: i }), 'ok');
    await waitFor('everybody on board', () => channels.every((channel) => Object.keys(channel.presenceState()).sort().join() === 'boat-0,boat-1'));
    await first.untrack();
    await waitFor('one left', () => Object.keys(second.presenceState()).join() === 'boat-1');
  });
});
