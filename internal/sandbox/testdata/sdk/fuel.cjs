// fuel-rest and fuel-soap, the vendor's own, against the sandbox, unchanged.
'use strict';
const assert = require('node:assert/strict');
const FuelRest = require('fuel-rest');
const FuelSoap = require('fuel-soap');

const tenant = 'mc0123456789abcdefghijklmn-z';
const host = (api) => `https://${tenant}.${api}.marketingcloudapis.com/`;
const auth = () => ({
	clientId: 'sandbox-client', clientSecret: 'sandbox-secret', authUrl: host('auth') + 'v2/token',
	authOptions: { authVersion: 2, accountId: '510000001' },
});

const soap = new FuelSoap({ auth: auth(), soapEndpoint: host('soap') + 'Service.asmx' });
// call promises what a method passes to its callback
const call = (method, ...args) =>
	new Promise((resolve, reject) => soap[method](...args, (err, answer) => (err ? reject(err) : resolve(answer.body))));
const refusal = (promise) => promise.then(() => assert.fail('it is not refused'), (e) => e);
const outcome = (answer) => answer.Results.map((r) => `${r.StatusCode}: ${r.StatusMessage}`);

async function rest() {
	const client = new FuelRest({ auth: auth(), restEndpoint: host('rest') });
	const context = await client.get({ uri: '/platform/v1/tokenContext' });
	assert.equal(context.body.organization.id, 510000001);
	const rows = [{ keys: { SubscriberKey: 'u-1' }, values: { EmailAddress: 'u1@example.org', RegistrationTimestamp: '2026-06-23T12:00:00Z' } }];
	const sent = await client.post({ uri: '/hub/v1/dataevents/key:Web_Registrations/rowset', json: rows });
	assert.deepEqual(sent.body, rows);
	const read = await client.get({ uri: '/data/v1/customobjectdata/key/Web_Registrations/rowset' });
	assert.equal(read.body.count, 1);
}

async function soapCalls() {
	const club = {
		CustomerKey: 'Club', Name: 'Club',
		Fields: { Field: [{ Name: 'SubscriberKey', MaxLength: 254, IsPrimaryKey: true, IsRequired: true }, { Name: 'City' }] },
	};
	assert.deepEqual(outcome(await call('create', 'DataExtension', club)), ['OK: Data Extension created.']);
	const row = { CustomerKey: 'Club', Properties: { Property: [{ Name: 'SubscriberKey', Value: 'a' }, { Name: 'City', Value: 'Graz' }] } };
	assert.deepEqual(outcome(await call('create', 'DataExtensionObject', row)), ['OK: Created DataExtensionObject']);
	row.Properties.Property[1].Value = 'Wien';
	assert.deepEqual(outcome(await call('update', 'DataExtensionObject', row)), ['OK: Updated DataExtensionObject']);
	const read = await call('retrieve', 'DataExtensionObject[Club]', ['SubscriberKey', 'City'], {
		filter: { leftOperand: 'City', operator: 'equals', rightOperand: 'Wien' },
	});
	assert.deepEqual(read.Results.map((r) => r.Properties.Property), [[{ Name: 'SubscriberKey', Value: 'a' }, { Name: 'City', Value: 'Wien' }]]);
	const all = await call('retrieve', 'DataExtension', ['CustomerKey'], { queryAllAccounts: true });
	assert.deepEqual(all.Results.map((r) => r.CustomerKey), ['Club', 'Web_Registrations']);
	const described = await call('describe', 'DataExtension');
	assert.ok(described.ObjectDefinition.Properties.some((p) => p.Name === 'CustomerKey'));
	assert.deepEqual((await call('describe', 'Nothing')).ObjectDefinition, {});
	assert.equal((await refusal(call('perform', 'DataExtension', { CustomerKey: 'Club' }))).message, 'Soap Error'); // its action is always "start"
	assert.equal((await refusal(call('retrieve', 'Nothing', ['ID']))).message, 'Unable to find a handler for object type');
	assert.deepEqual(outcome(await call('delete', 'DataExtension', { CustomerKey: 'Club' })), ['OK: Data Extension deleted. / Data Extension Fields deleted']);
	const ana = { EmailAddress: 'ana@example.org', SubscriberKey: 'ana' };
	assert.deepEqual(outcome(await call('create', 'Subscriber', ana)), ['OK: Created Subscriber.']);
	assert.equal((await refusal(call('create', 'Subscriber', ana))).results[0].ErrorCode, '12014');
}

rest().then(soapCalls).catch((err) => {
	console.error(err);
	process.exitCode = 1;
});
