/** The closed list of what is audited: the type, and what happened in a sentence. */
export const auditEventTypes = {
  'authentication.succeeded': 'A customer logged in.',
  'authentication.failed': 'A login was refused.',
  'authentication.throttled':
    'A login was not tried, because too many had failed before; told once for a wait.',
  'authentication.suspicious':
    'Failed logins look like a list being tried, or a customer logged in where they can’t be so soon.',
  'authentication.challenged':
    'A login had to take a further step: others had failed before, or nobody comes there so soon.',
  'authentication.new_device':
    'A customer logged in with a browser in which they had not done so before.',
  'rate_limit.exceeded': 'Somebody sent more requests than a limit allows; told once for a window.',
  'authorization.pushed': 'A client sent its authorization request ahead.',
  'authorization.push_refused': 'An authorization request that was sent ahead was refused.',
  'authorization.requested': 'A client asked for access.',
  'authorization.granted': 'Access was granted and the customer sent back to the client.',
  'authorization.denied': 'The customer refused access or gave up.',
  'authorization.refused': 'An authorization request was refused.',
  'consent.given': 'A customer agreed to the access that a client asked for.',
  'consent.created': 'A client lodged a consent for its customer to decide.',
  'consent.read': 'A client read a consent of its own.',
  'consent.authorised': 'A customer authorised a consent.',
  'consent.reauthenticated': 'A customer authenticated again for a consent.',
  'consent.changed': 'A customer chose other accounts or another end for a consent.',
  'consent.rejected': 'A consent was rejected, taken back or not decided in time.',
  'consent.revoked': 'A consent was revoked, and every token under it.',
  'consent.consumed': 'A resource server made the payment that a consent was for.',
  'consent.expired': 'A consent came to its end, and every token under it.',
  'consent.checked': 'A resource server asked for the state of a consent.',
  'consent.evidenced': 'An operator exported the evidence for a consent.',
  'consent.refused': 'A request about a consent was refused.',
  'token.issued': 'A client received tokens.',
  'token.refreshed': 'A client used a refresh token to receive new tokens.',
  'token.refused': 'A token request was refused.',
  'token.revoked': 'A client revoked a token.',
  'token.revocation_refused': 'A revocation request was refused.',
  'token.introspected': 'A resource server asked about a token.',
  'token.introspection_refused': 'An introspection request was refused.',
  'userinfo.read': 'A client read the claims of a customer.',
  'userinfo.refused': 'A userinfo request was refused.',
  'replay.detected':
    'A code, refresh token, pushed request, client assertion or DPoP proof was used a second time.',
  'grant.revoked': 'A grant ended, and every token under it.',
  'grant.created': 'A customer allowed a grant that its client manages.',
  'grant.merged': 'A customer allowed more in a grant that its client manages.',
  'grant.replaced': 'A customer allowed something else in a grant that its client manages.',
  'grant.read': 'A client asked what a grant of its own gives.',
  'grant.refused': 'A request about a grant was refused.',
  'session.ended': 'A customer ended sessions of theirs on other devices.',
  'logout.completed': 'A customer logged out.',
  'logout.refused': 'A logout request was refused.',
  'backchannel_logout.sent': 'A client was told that its customer logged out.',
  'backchannel_logout.failed': 'A client could not be told that its customer logged out.',
  'client.created': 'A client was registered.',
  'client.updated': 'A client was changed.',
  'client.deleted': 'A client was deleted.',
  'client.registration_refused': 'A request to register, or to manage a registration, was refused.',
  'initial_access_token.created': 'A token was issued with which one client may register.',
  'client.authentication_failed': 'A client could not prove who it is.',
  'api_key.created': 'An API key was made.',
  'api_key.rotated': 'An API key got a successor.',
  'api_key.revoked': 'An API key was ended.',
  'api_key.ending': 'An API key ends soon.',
  'api_key.refused': 'A resource server was told that an API key is no good, or used too often.',
  'api_key.request_refused': 'A request about API keys was refused.',
  'customer.created': 'A customer was added.',
  'customer.updated': 'A customer was changed.',
  'customer.password_changed': 'The password of a customer was changed.',
  'customer.password_rehashed': 'The stored hash of a password was renewed with the present cost.',
  'customer.sessions_ended': 'Every session, grant and token of a customer was ended.',
  'resource_server.created': 'A resource server was added.',
  'resource_server.updated': 'A resource server was changed.',
  'resource_server.deleted': 'A resource server was deleted.',
  'signing_key.created': 'A signing key was created.',
  'signing_key.activated': 'A signing key began to sign.',
  'signing_key.retired': 'A signing key stopped to sign; its signatures still verify.',
  'signing_key.destroyed': 'A retired signing key ended; its signatures no longer verify.',
  'signing_key.revoked': 'A compromised signing key ended at once, with everything that it signed.',
  'signing_key.rewrapped': 'Signing keys were wrapped by another master key.',
  'event_stream.created': 'A receiver of security events was added.',
  'event_stream.updated': 'A receiver of security events was changed, paused or resumed.',
  'event_stream.deleted':
    'A receiver of security events was removed, with what it was still to be told.',
  'security_event.lost': 'A receiver was not told of a change, and never will be.',
  'security_event.poll_refused': 'A request for security events was refused.',
  'configuration.applied':
    'Clients and resource servers were brought in line with the static file.',
  'server.started': 'A server process began to answer.',
  'server.stopped': 'A server process stopped to answer.',
  'migration.applied': 'The database schema was changed.',
} as const;

/** One of the types of {@link auditEventTypes}. */
export type AuditEventType = keyof typeof auditEventTypes;

/** Who did it. */
export interface AuditActor {
  type: 'customer' | 'client' | 'operator' | 'system';
  id?: string;
}

/** What happened, as the code that saw it says it; time, request and address are added when it is recorded. */
export interface AuditEntry {
  type: AuditEventType;
  outcome: 'success' | 'refused' | 'error';
  actor: AuditActor;
  clientId?: string;
  customerId?: string;
  /** Facts of the type; secrets in it are taken out before it is kept. */
  detail?: Record<string, unknown>;
}
