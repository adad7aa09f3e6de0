import { derTag, writeDer } from '../tls/der.ts';
import { objectIdentifier } from './certificate-builder.ts';
import type { CertificateExtension } from './certificate-builder.ts';

/** Roles of payment service providers and their identifiers (ETSI TS 119 495 §4.2). */
const roleIds = {
  PSP_AS: '0.4.0.19495.1.1',
  PSP_PI: '0.4.0.19495.1.2',
  PSP_AI: '0.4.0.19495.1.3',
  PSP_IC: '0.4.0.19495.1.4',
} as const;

/** A role as a qualified certificate names it. */
export type PspRole = keyof typeof roleIds;

/** The statements of a QWAC: the PSD2 statement (ETSI TS 119 495 §5.1) and the type "web" (EN 319 412-5 §4.2.3). */
export function psd2Extension(psd2: {
  roles: readonly PspRole[];
  ncaName: string;
  ncaId: string;
}): CertificateExtension {
  const roles = psd2.roles.map((role) => sequence(objectIdentifier(roleIds[role]), utf8(role)));
  const information = sequence(sequence(...roles), utf8(psd2.ncaName), utf8(psd2.ncaId));
  const value = sequence(
    sequence(objectIdentifier('0.4.0.1862.1.6'), sequence(objectIdentifier('0.4.0.1862.1.6.3'))),
    sequence(objectIdentifier('0.4.0.19495.2'), information),
  );
  return { id: '1.3.6.1.5.5.7.1.3', critical: false, value };
}

function sequence(...parts: readonly Uint8Array[]): Buffer {
  return writeDer(derTag.sequence, ...parts);
}

function utf8(text: string): Buffer {
  return writeDer(derTag.utf8String, Buffer.from(text, 'utf8'));
}
