import type { ChangeSource } from '../database/changes.ts';
import type { Sql, Statement } from '../database/sql.ts';

/** Tells, and hears from, the other processes that some access has ended. */
export interface AccessEndings {
  /** Never rejects: whoever is not told finds out within the second for which anything is remembered. */
  announce(): void;
  subscribe(forget: () => void): void;
}

const tell: Statement = {
  name: 'edge_access_ended',
  text: `SELECT pg_notify('countersign_changes', 'access-ended:')`,
};

/** By LISTEN and NOTIFY. What ends while a notification is under way shares the next one. */
export function createAccessEndings(sql: Pick<Sql, 'rows'>, changes: ChangeSource): AccessEndings {
  let isUnderWay = false;
  let isDue = false;

  async function announceWhatIsDue(): Promise<void> {
    if (isUnderWay) return;
    isUnderWay = true;
    while (isDue) {
      isDue = false;
      await sql.rows(tell, []).catch(() => undefined);
    }
    isUnderWay = false;
  }

  return {
    announce() {
      isDue = true;
      void announceWhatIsDue();
    },
    subscribe(forget) {
      changes.subscribe('access-ended', forget);
    },
  };
}
