// Leads what a program sends to Marketing Cloud's host names to the sandbox, without a
// change to the program: node --require ./redirect.cjs, with the port in SANDBOX_PORT.
'use strict';
const tls = require('node:tls');
const connect = tls.connect;
tls.connect = function (options, ...more) {
	if (options && typeof options === 'object' && /\.marketingcloudapis\.com$/.test(options.servername || options.host)) {
		options = { ...options, servername: options.servername || options.host, host: '127.0.0.1', port: process.env.SANDBOX_PORT };
	}
	return connect.call(this, options, ...more);
};
