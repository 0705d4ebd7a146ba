// Where alerts go: an HTTP server and a mail server that keep what they are given.
'use strict';

const http = require('node:http');
const net = require('node:net');
const tls = require('node:tls');

// Every post is kept in `got`: {path, headers, body, json}. `answer` is the status given, or a function of the post.
class WebSink {
  static async open(s, { port = 0 } = {}) {
    const sink = new WebSink();
    sink.server = http.createServer((req, res) => {
      const parts = [];
      req.on('data', (part) => parts.push(part));
      req.on('end', () => {
        const body = Buffer.concat(parts).toString();
        const post = { path: req.url, headers: req.headers, body };
        try {
          post.json = JSON.parse(body);
        } catch {
          // not JSON: the test has the text
        }
        sink.tried++;
        const status = typeof sink.answer === 'function' ? sink.answer(post) : sink.answer;
        if (status >= 200 && status < 300) sink.got.push(post);
        if (status) res.writeHead(status).end('thanks');
      });
    });
    await new Promise((resolve) => sink.server.listen(port, '127.0.0.1', resolve));
    sink.port = sink.server.address().port;
    sink.url = `http://127.0.0.1:${sink.port}/hook`;
    s.atEnd(() => sink.close());
    return sink;
  }

  constructor() {
    this.got = [];
    this.tried = 0;
    this.answer = 200;
  }

  // All events that arrived, as {id, reason, event}, of posts in the generic form.
  items() {
    return this.got.flatMap((post) => post.json.events);
  }

  close() {
    this.server.closeAllConnections();
    this.server.close();
  }
}

// A mail server (RFC 5321) that speaks STARTTLS and AUTH PLAIN. Every mail is kept in `got`: {from, to, text, isSecure, user}.
class MailSink {
  static async open(s, { cert, key, implicit = false }) {
    const sink = new MailSink();
    const context = tls.createSecureContext({ cert, key });
    const sockets = new Set();
    const start = (socket, isSecure) => {
      sockets.add(socket);
      socket.on('error', () => {});
      sink.#talk(socket, context, isSecure, isSecure);
      socket.write('220 sink ESMTP\r\n');
    };
    sink.server = implicit ? tls.createServer({ cert, key }, (socket) => start(socket, true)) : net.createServer((socket) => start(socket, false));
    sink.server.on('tlsClientError', () => {});
    await new Promise((resolve) => sink.server.listen(0, '127.0.0.1', resolve));
    sink.port = sink.server.address().port;
    s.atEnd(() => {
      for (const socket of sockets) socket.destroy();
      sink.server.close();
    });
    return sink;
  }

  constructor() {
    this.got = [];
  }

  #talk(socket, context, isSecure, isGreeted) {
    const say = (line) => socket.write(`${line}\r\n`);
    let mail = { to: [], isSecure };
    let rest = '';
    let data = null;
    let isLogin = false; // what comes is the answer to AUTH
    const commands = {
      EHLO: () => {
        for (const line of ['sink', ...(isSecure ? ['AUTH PLAIN'] : ['STARTTLS'])]) say(`250-${line}`);
        say('250 SIZE 1000000');
      },
      STARTTLS: () => {
        say('220 go ahead');
        socket.removeAllListeners('data');
        const secure = new tls.TLSSocket(socket, { isServer: true, secureContext: context });
        secure.on('error', () => {});
        this.#talk(secure, context, true, isGreeted);
      },
      AUTH: (line) => {
        const [, , first] = line.split(' ');
        if (first) login(first);
        else say('334 ');
        isLogin = !first;
      },
      MAIL: (line) => {
        mail.from = line.match(/<(.*?)>/)[1];
        say('250 ok');
      },
      RCPT: (line) => {
        mail.to.push(line.match(/<(.*?)>/)[1]);
        say('250 ok');
      },
      DATA: () => {
        data = [];
        say('354 go ahead');
      },
      QUIT: () => {
        say('221 bye');
        socket.end();
      },
    };
    const login = (word) => {
      const [, user, password] = Buffer.from(word, 'base64').toString().split('\0');
      mail.user = `${user}:${password}`;
      isLogin = false;
      say('235 welcome');
    };
    const onLine = (line) => {
      if (isLogin) {
        login(line);
      } else if (data === null) {
        (commands[line.split(' ')[0].toUpperCase()] ?? (() => say('502 what?')))(line);
      } else if (line === '.') {
        this.got.push({ ...mail, text: data.join('\n') });
        data = null;
        mail = { to: [], isSecure };
        say('250 ok');
      } else {
        data.push(line.startsWith('.') ? line.slice(1) : line);
      }
    };
    socket.on('data', (part) => {
      const lines = (rest + part).split('\r\n');
      rest = lines.pop();
      for (const line of lines) onLine(line);
    });
  }
}

module.exports = { WebSink, MailSink };
