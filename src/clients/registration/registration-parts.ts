import type { Clock } from '../../clock.ts';
import type { FindClientToken } from '../../security/client-access.ts';
import type { ClientStore } from '../client-store.ts';
import { createDirectoryKeys } from './directory-keys.ts';
import type { Directory } from './directory.ts';
import type { InitialAccessTokenStore } from './initial-access-token-store.ts';
import type { Fetch } from './key-set.ts';
import type { SecurityProfile } from '../profiles.ts';
import { createRegistrationAccess } from './registration-access.ts';
import type { ManagementScope } from './registration-access.ts';
import { createExamination } from './registration-examination.ts';
import type { Examine } from './registration-examination.ts';
import type { Recorder, RolesOfCertificate } from './registration-ports.ts';
import type { RegistrationStore } from './registration-store.ts';
import { createRegistrations } from './registrations.ts';
import type { Registrations } from './registrations.ts';
import { createStatementJudge } from './software-statement.ts';

/** How clients may register, as plain values. */
export interface RegistrationSettings {
  directories: readonly Directory[];
  /** Whether initial access tokens are accepted. */
  initialAccessTokens: boolean;
  management: ManagementScope | undefined;
}

/** Whether there is any way to register. */
export function isRegistrationOffered(settings: RegistrationSettings): boolean {
  return settings.directories.length > 0 || settings.initialAccessTokens;
}

interface ExaminationParts {
  settings: RegistrationSettings;
  issuer: string;
  minimumProfile: SecurityProfile;
  rolesOfCertificate: RolesOfCertificate;
  fetch: Fetch;
  clock: Clock;
}

/** The examination with the directories of the settings: for the endpoint, and for an operator's dry run. */
export function examinationOf({ settings, ...deps }: ExaminationParts): Examine {
  const { directories } = settings;
  const keys = createDirectoryKeys(deps);
  const judgeStatement = createStatementJudge({ ...deps, directories, keys });
  return createExamination({ ...deps, judgeStatement });
}

interface Parts extends ExaminationParts {
  registrations: RegistrationStore;
  initialAccessTokens: InitialAccessTokenStore;
  clients: Pick<ClientStore, 'delete'>;
  findClientToken: FindClientToken;
  audit: Recorder;
  onRefusal: (code: string) => void;
}

/** Registration as the settings offer it. */
export function registrationsOf(parts: Parts): Registrations {
  const { directories, initialAccessTokens, management } = parts.settings;
  return createRegistrations({
    ...parts,
    examine: examinationOf(parts),
    authorize: createRegistrationAccess({ ...parts, management }),
    accepts: { statements: directories.length > 0, initialAccessTokens },
  });
}
