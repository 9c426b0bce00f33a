// sfmc-sdk against the sandbox: what it sends and understands, unchanged.
import assert from 'node:assert/strict';
import https from 'node:https';
import SDK from 'sfmc-sdk';

const tenant = 'mc0123456789abcdefghijklmn-z';
const sdk = new SDK(
	{ client_id: 'sandbox-client', client_secret: 'sandbox-secret', account_id: 510000001, auth_url: `https://${tenant}.auth.marketingcloudapis.com/` },
	{ requestAttempts: 2 },
);
const outcome = (answer) => answer.Results.map((r) => `${r.StatusCode}: ${r.StatusMessage}`);
const refusal = async (promise) => {
	const error = await promise.then(() => assert.fail('it is not refused'), (e) => e);
	return error.json?.Results?.map((r) => `${r.ErrorCode}: ${r.StatusMessage}`) ?? error.message;
};

// what the sandbox itself can be told, such as to revoke all tokens
const control = (path, body) =>
	new Promise((resolve, reject) => {
		https.request(`https://${tenant}.rest.marketingcloudapis.com/_sandbox/${path}`, { method: 'PUT' }, (res) => {
			res.resume();
			res.on('end', () => resolve(res.statusCode));
		}).on('error', reject).end(JSON.stringify(body));
	});

// token and REST
const token = await sdk.auth.getAccessToken();
assert.equal(token.soap_instance_url, `https://${tenant}.soap.marketingcloudapis.com/`);
const context = await sdk.rest.get('/platform/v1/tokenContext');
assert.equal(context.organization.id, 510000001);
const people = [1, 2, 3, 4, 5].map((n) => ({
	keys: { SubscriberKey: `u-${n}` },
	values: { EmailAddress: `u${n}@example.org`, RegistrationTimestamp: '2026-06-23T12:00:00Z' },
}));
assert.deepEqual(await sdk.rest.post('/hub/v1/dataevents/key:Web_Registrations/rowset', people), people);
const all = await sdk.rest.getBulk('/data/v1/customobjectdata/key/Web_Registrations/rowset', 2);
assert.deepEqual(all.items.map((row) => row.keys.subscriberkey), ['u-1', 'u-2', 'u-3', 'u-4', 'u-5']);

// SOAP: a data extension from its creation to its end
const members = {
	CustomerKey: 'Members', Name: 'Members', Description: '', IsSendable: true,
	SendableDataExtensionField: { Name: 'SubscriberKey' }, SendableSubscriberField: { Name: 'Subscriber Key' },
	Fields: { Field: [
		{ Name: 'SubscriberKey', FieldType: 'Text', MaxLength: 254, IsPrimaryKey: true, IsRequired: true },
		{ Name: 'City', FieldType: 'Text', MaxLength: 50, IsPrimaryKey: false, IsRequired: false },
	] },
};
assert.deepEqual(outcome(await sdk.soap.create('DataExtension', { ...members })), ['OK: Data Extension created.']);
assert.deepEqual(await refusal(sdk.soap.create('DataExtension', { ...members })),
	['2: Updating an existing Data Extension definition is not allowed when doing an add-only operation.']);
const found = await sdk.soap.retrieve('DataExtension', ['CustomerKey', 'Name', 'IsSendable', 'SendableSubscriberField.Name'],
	{ filter: { leftOperand: 'CustomerKey', operator: 'equals', rightOperand: 'Members' } });
assert.equal(found.OverallStatus, 'OK');
assert.deepEqual(found.Results, [
	{ PartnerKey: '', ObjectID: '', CustomerKey: 'Members', Name: 'Members', IsSendable: true, SendableSubscriberField: { Name: '_SubscriberKey' } },
]);
assert.deepEqual(outcome(await sdk.soap.update('DataExtension', { CustomerKey: 'Members', Fields: { Field: { Name: 'Points', FieldType: 'Number' } } })),
	['OK: Data Extension updated.']);
const fields = await sdk.soap.retrieve('DataExtensionField', ['Name', 'FieldType', 'DataExtension.CustomerKey'], {
	filter: {
		leftOperand: { leftOperand: 'DataExtension.CustomerKey', operator: 'IN', rightOperand: ['Members', 'Others'] },
		operator: 'AND',
		rightOperand: { leftOperand: 'IsPrimaryKey', operator: 'equals', rightOperand: false },
	},
});
assert.deepEqual(fields.Results.map((f) => `${f.Name}: ${f.FieldType}`), ['City: Text', 'Points: Number']);

// rows, in batches of two
for (const [key, city] of [['a', 'Graz'], ['b', 'Linz'], ['c', 'Wien'], ['d', 'Bonn'], ['e', 'Köln & <Co>']]) {
	const row = { CustomerKey: 'Members', Properties: { Property: [{ Name: 'SubscriberKey', Value: key }, { Name: 'City', Value: city }] } };
	assert.deepEqual(outcome(await sdk.soap.create('DataExtensionObject', row)), ['OK: Created DataExtensionObject']);
}
let batches = 0;
sdk.soap.options.eventHandlers = { onLoop: () => batches++ };
const rows = await sdk.soap.retrieveBulk('DataExtensionObject[Members]', ['City'], { options: { BatchSize: 2 } });
assert.deepEqual(rows.Results.map((r) => r.Properties.Property.Value), ['Graz', 'Linz', 'Wien', 'Bonn', 'Köln & <Co>']);
assert.equal(batches, 2);
const upsert = { SaveOptions: { SaveOption: { PropertyName: '*', SaveAction: 'UpdateAdd' } } };
assert.deepEqual(outcome(await sdk.soap.update('DataExtensionObject',
	{ CustomerKey: 'Members', Properties: { Property: [{ Name: 'SubscriberKey', Value: 'f' }] } }, { options: upsert })), ['OK: Updated DataExtensionObject']);
assert.deepEqual(outcome(await sdk.soap.delete('DataExtensionObject',
	{ CustomerKey: 'Members', Keys: { Key: { Name: 'SubscriberKey', Value: 'a' } } })), ['OK: Deleted DataExtensionObject']);

const cleared = await sdk.soap.perform('DataExtension', 'ClearData', { CustomerKey: 'Members' });
assert.equal(cleared.OverallStatus, 'OK');
assert.equal(cleared.Results[0].Result.StatusCode, 'OK');
assert.equal((await sdk.soap.retrieve('DataExtensionObject[Members]', ['City'])).Results, undefined);
assert.deepEqual(outcome(await sdk.soap.delete('DataExtension', { CustomerKey: 'Members' })),
	['OK: Data Extension deleted. / Data Extension Fields deleted']);

// subscribers, and a token that ends in between
const ana = { EmailAddress: 'ana@example.org', SubscriberKey: 'ana' };
assert.deepEqual(outcome(await sdk.soap.create('Subscriber', { ...ana })), ['OK: Created Subscriber.']);
assert.deepEqual(await refusal(sdk.soap.create('Subscriber', { ...ana })), ['12014: The subscriber is already on the list']);
assert.equal(await control('faults', [{ name: 'revoke_tokens' }]), 200);
assert.deepEqual(outcome(await sdk.soap.update('Subscriber', { SubscriberKey: 'ana', Status: 'Unsubscribed' })), ['OK: Updated Subscriber.']);
const described = await sdk.soap.describe('Subscriber');
assert.ok(described.ObjectDefinition.Properties.some((p) => p.Name === 'UnsubscribedDate' && p.IsRetrievable));
const units = await sdk.soap.retrieve('BusinessUnit', ['Name', 'ID', 'ParentName', 'ParentID', 'IsActive'], { QueryAllAccounts: true });
assert.deepEqual(units.Results, [{ PartnerKey: '', ID: 510000001, ObjectID: '', ParentID: 0, ParentName: '', Name: 'Sandbox', IsActive: 1 }]);

// what is refused
assert.match(await refusal(sdk.soap.retrieve('DeliveryProfile', ['ID'])), /Unable to find a handler for object type: DeliveryProfile/);
assert.equal(await control('faults', [{ match: '/Service.asmx', status: 429, count: 1 }]), 200);
assert.match(await refusal(sdk.soap.retrieve('List', ['ID'])), /Too Many Requests/);
assert.equal((await sdk.soap.retrieve('List', ['ID', 'ListName'])).Results[0].ListName, 'All Subscribers');
