// A GraphQL server as people build them, with graphql-ws and ws, in a process of its own: node graphql_server.js NAME PORT. What is POSTed to it as a number becomes an
// event of the subscription `numbers`, in whichever of these servers it was POSTed.
'use strict';

const { EventEmitter, on } = require('node:events');
const http = require('node:http');
const { GraphQLInt, GraphQLNonNull, GraphQLObjectType, GraphQLSchema, GraphQLString } = require('graphql');
const { useServer } = require('graphql-ws/use/ws');
const { WebSocketServer } = require('ws');

const [name, port] = [process.argv[2], Number(process.argv[3])];
const events = new EventEmitter().setMaxListeners(0);
const text = new GraphQLNonNull(GraphQLString);
const later = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function* numbers() {
  for await (const [n] of on(events, 'number')) yield { numbers: n };
}

const slowly = { type: text, args: { ms: { type: new GraphQLNonNull(GraphQLInt) } }, resolve: (root, { ms }) => later(ms).then(() => name) };
const schema = new GraphQLSchema({
  query: new GraphQLObjectType({ name: 'Query', fields: { server: { type: text, resolve: () => name }, slow: slowly } }),
  mutation: new GraphQLObjectType({ name: 'Mutation', fields: { slow: slowly } }),
  subscription: new GraphQLObjectType({
    name: 'Subscription',
    fields: { numbers: { type: new GraphQLNonNull(GraphQLInt), subscribe: numbers } },
  }),
});

const server = http.createServer((request, response) => {
  let body = '';
  request.on('data', (data) => {
    body += data;
  });
  request.on('end', () => {
    if (request.method === 'POST') events.emit('number', Number(body));
    response.end(String(events.listenerCount('number')));
  });
});
const isWelcome = ({ connectionParams }) => connectionParams?.token !== 'forged' && connectionParams?.token !== `forged-${name}`;
useServer({ schema, onConnect: isWelcome }, new WebSocketServer({ server, path: '/graphql' }));
server.listen(port, '127.0.0.1', () => console.log(`${name} serves`));
