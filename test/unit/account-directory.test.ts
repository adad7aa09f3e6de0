import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createServer } from 'node:https';
import type { Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { TLSSocket } from 'node:tls';
import {
  createAccountDirectory,
  demoAccounts,
} from '../../src/consents/api/account-directory-api.ts';
import { accountsToOffer, chosenAccounts, noAccounts } from '../../src/consents/accounts.ts';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import { createOutboundFetch } from '../../src/security/outbound-fetch.ts';
import { clientCertificate, createTestCertificates } from '../support/certificates.ts';
import type { TestCertificates } from '../support/certificates.ts';

let certificates: TestCertificates;
let ours: IssuedCertificate;
let core: Server;
/** What the core answers, by customer. */
let asked: { customer: string | null; subject: string }[] = [];
const accounts = [{ id: 'a1', name: 'Current account', number: '•••• 1234' }];
const answers: Record<string, string> = {
  casey: JSON.stringify({ accounts, moreOfTheirs: true }),
  broken: '{"accounts": "none"}',
  nothing: '',
};

beforeAll(async () => {
  certificates = await createTestCertificates();
  ours = await clientCertificate(certificates.authority, { subject: 'CN=countersign' });
  const { authority, server } = certificates;
  const options = {
    ...{ cert: server.certificatePem, key: server.privateKeyPem, ca: authority.certificatePem },
    ...{ requestCert: true, rejectUnauthorized: true },
  };
  core = createServer(options, (request, response) => {
    const customer = new URL(request.url ?? '/', 'https://core').searchParams.get('customer');
    const { socket } = request;
    const subject = socket instanceof TLSSocket ? socket.getPeerCertificate().subject.CN : '';
    asked.push({ customer, subject: String(subject) });
    if (customer === 'slow') return; // never answers
    if (customer === 'away') response.statusCode = 503;
    response.end(answers[customer ?? ''] ?? '{}');
  });
  await new Promise<void>((resolve) => core.listen(0, '127.0.0.1', resolve));
});

afterAll(() => {
  core.closeAllConnections();
  return new Promise((resolve) => core.close(resolve));
});

function directory() {
  const { port } = core.address() as AddressInfo;
  const fetch = createOutboundFetch({
    allowedHosts: [`localhost:${String(port)}`],
    truststorePem: certificates.authority.certificatePem,
    ...{ timeoutMs: 500, maxBodyBytes: 10_000, clientCertificate: ours },
  });
  return createAccountDirectory({ url: `https://localhost:${String(port)}/accounts?v=1`, fetch });
}

describe('The bank’s core', () => {
  it('tells a customer’s accounts to us, who prove ourselves with a certificate', async () => {
    asked = [];
    expect(await directory()('casey')).toEqual(accounts);
    expect(asked).toEqual([{ customer: 'casey', subject: 'countersign' }]);
  });

  it.each(['broken', 'nothing', 'away', 'slow', 'unknown'])(
    'that answers %s is unavailable, and no account is made up',
    async (customer) => {
      await expect(directory()(customer)).rejects.toMatchObject({ code: 'accounts_unavailable' });
    },
  );

  it('refuses us without the certificate', async () => {
    const fetch = createOutboundFetch({
      allowedHosts: [`localhost:${String((core.address() as AddressInfo).port)}`],
      truststorePem: certificates.authority.certificatePem,
      ...{ timeoutMs: 500, maxBodyBytes: 10_000 },
    });
    const url = `https://localhost:${String((core.address() as AddressInfo).port)}/accounts`;
    await expect(createAccountDirectory({ url, fetch })('casey')).rejects.toMatchObject({
      code: 'accounts_unavailable',
    });
  });

  it('that is not configured is unavailable', async () => {
    await expect(noAccounts('casey')).rejects.toMatchObject({ code: 'accounts_unavailable' });
  });
});

describe('Accounts that may be chosen', () => {
  it('are all, or the one that the client names', async () => {
    const offered = await demoAccounts('casey');
    const [first] = offered;
    expect(accountsToOffer({ payment: undefined, account: undefined }, offered)).toEqual(offered);
    const { scheme = '', value = '' } = first?.identification ?? {};
    const account = { scheme, identification: value };
    expect(accountsToOffer({ payment: undefined, account }, offered)).toEqual([first]);
    const foreign = { scheme, identification: '00000000000000' };
    expect(accountsToOffer({ payment: undefined, account: foreign }, offered)).toEqual([]);
  });

  it('are chosen one for a payment, one or more to share, and never beside the offer', async () => {
    const offered = await demoAccounts('casey');
    const ids = offered.map(({ id }) => id);
    const count = (type: 'accounts' | 'payment', chosen: string[]) =>
      chosenAccounts({ type }, offered, new Set(chosen))?.length;
    expect(count('accounts', ids)).toBe(2);
    expect(count('payment', ids)).toBeUndefined();
    expect(count('payment', ids.slice(0, 1))).toBe(1);
    expect(count('accounts', [])).toBeUndefined();
    expect(count('accounts', [...ids, 'somebody-elses'])).toBeUndefined();
  });
});
