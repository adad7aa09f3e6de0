import type { Directory } from '../clients/registration/directory.ts';
import { readDirectories } from '../config/directories.ts';
import type { Configuration } from '../config/schema.ts';
import type { PrivateFiles } from '../development/private-files.ts';
import { sandboxDirectoriesFile } from '../development/sandbox-directory.ts';

/**
 * The directories of the sandbox, if there is one yet. Their roles are about the sample resource server: where other
 * resource servers or directories are configured, there is none.
 */
export function sandboxDirectories(
  { environment, configurationFile, directoriesFile }: Configuration,
  files: PrivateFiles,
): readonly Directory[] {
  const isOffered =
    environment === 'development' &&
    configurationFile === undefined &&
    directoriesFile === undefined &&
    files.read(sandboxDirectoriesFile) !== undefined;
  return isOffered ? readDirectories(files.pathOf(sandboxDirectoriesFile)) : [];
}
