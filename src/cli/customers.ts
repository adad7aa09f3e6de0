import type { Command } from 'commander';
import { addCustomer } from '../customers/add-customer.ts';
import { changePassword } from '../customers/change-password.ts';
import type { Customer } from '../customers/customer.ts';
import { createPasswordHasher } from '../customers/password.ts';
import type { PasswordHasher } from '../customers/password.ts';
import { Problem } from '../problem.ts';
import { addCommand, addGroup, print } from './command.ts';
import { withStores } from './context.ts';
import type { StoresContext } from './context.ts';
import { customerDetails, customerDone, customerList } from './customer-answers.ts';
import { addProfileOptions, profileOf } from './customer-profile.ts';
import type { ProfileOptions } from './customer-profile.ts';
import { readNewPassword } from './password-input.ts';
import type { NewPassword, PasswordOptions } from './password-input.ts';
import type { Shell } from './shell.ts';

interface Options {
  json?: true;
}

/** `customers`: the people who log in. A customer is named by user name or id. */
export function addCustomerCommands(program: Command, shell: Shell): void {
  const group = addGroup(program, 'customers', 'add and change the people who log in');
  addReading(group, shell);
  addAdd(group, shell);
  addSetPassword(group, shell);
  addStatus(group, shell);
  addEndSessions(group, shell);
}

function addReading(group: Command, shell: Shell): void {
  addCommand(group, {
    usage: 'list',
    summary: 'list all customers',
    example: 'customers list',
  }).action(async (options: Options) => {
    const customers = await withStores(shell, (context) => context.customers.list());
    print(shell, options, customerList(customers));
  });
  addCommand(group, {
    usage: 'show <customer>',
    summary: 'show a customer',
    example: 'customers show alex',
  }).action(async (name: string, options: Options) => {
    const customer = await withStores(shell, (context) => findCustomer(context, name));
    print(shell, options, customerDetails(customer));
  });
}

function addPasswordOptions(command: Command): Command {
  return command
    .option('--password-stdin', 'read the password from standard input instead of asking for it')
    .option('--generate', 'make a password and show it once');
}

function addAdd(group: Command, shell: Shell): void {
  const command = addCommand(group, {
    usage: 'add <username>',
    summary: 'add a customer; asks for the password',
    example: "customers add alex --name 'Alex Morgan' --email alex@example.com --generate",
  });
  type AddOptions = Options & ProfileOptions & PasswordOptions;
  addProfileOptions(addPasswordOptions(command)).action(
    async (username: string, options: AddOptions) => {
      const profile = profileOf(username, options);
      const given = await readNewPassword(options, shell);
      const added = await withStores(shell, async (context) => {
        const passwords = await hasherOf(context);
        const { password } = given;
        const customer = await addCustomer({ profile, password }, { ...context, passwords });
        await context.record({ type: 'customer.created', customerId: customer.id });
        return customer;
      });
      print(shell, options, customerDone('added', added, shown(given)));
    },
  );
}

function addSetPassword(group: Command, shell: Shell): void {
  const command = addCommand(group, {
    usage: 'set-password <customer>',
    summary: 'set a new password and end all sessions and tokens; asks for the password',
    example: 'customers set-password alex --generate',
  });
  addPasswordOptions(command).action(async (name: string, options: Options & PasswordOptions) => {
    const given = await readNewPassword(options, shell);
    const changed = await withStores(shell, async (context) => {
      const customer = await findCustomer(context, name);
      const passwords = await hasherOf(context);
      await changePassword(customer, given.password, { ...context, passwords });
      await context.record({ type: 'customer.password_changed', customerId: customer.id });
      return findCustomer(context, customer.id);
    });
    print(shell, options, customerDone('given a new password', changed, shown(given)));
  });
}

function addStatus(group: Command, shell: Shell): void {
  const kinds = [
    ['suspend', 'suspended', 'refuse the customer every login and token until resumed'],
    ['resume', 'active', 'let a suspended customer in again'],
  ] as const;
  for (const [name, status, summary] of kinds) {
    const words = { usage: `${name} <customer>`, summary, example: `customers ${name} alex` };
    addCommand(group, words).action(async (customerName: string, options: Options) => {
      const changed = await withStores(shell, async (context) => {
        const { id } = await findCustomer(context, customerName);
        await context.customers.setStatus(id, status);
        const detail = { change: 'status', status };
        await context.record({ type: 'customer.updated', customerId: id, detail });
        return findCustomer(context, id);
      });
      print(shell, options, customerDone(status, changed));
    });
  }
}

function addEndSessions(group: Command, shell: Shell): void {
  addCommand(group, {
    usage: 'end-sessions <customer>',
    summary: 'log the customer out everywhere and end every grant and token',
    example: 'customers end-sessions alex',
  }).action(async (name: string, options: Options) => {
    const customer = await withStores(shell, async (context) => {
      const found = await findCustomer(context, name);
      await context.customers.endSessions(found.id);
      await context.record({ type: 'customer.sessions_ended', customerId: found.id });
      return found;
    });
    print(shell, options, customerDone('logged out everywhere', customer));
  });
}

/** By id first: a user name may look like anything, an id only like one. */
async function findCustomer(
  { customers }: Pick<StoresContext, 'customers'>,
  name: string,
): Promise<Customer> {
  const found = (await customers.find(name)) ?? (await customers.findByUsername(name));
  if (found === undefined) throw new Problem('customer_not_found', { detail: name });
  return found;
}

function hasherOf({
  configuration,
}: Pick<StoresContext, 'configuration'>): Promise<PasswordHasher> {
  const cost = {
    memoryKib: configuration.argon2MemoryKib,
    passes: configuration.argon2Passes,
    parallelism: configuration.argon2Parallelism,
  };
  return createPasswordHasher(cost, { concurrency: 1, maxWaiting: 1 });
}

function shown({ password, isGenerated }: NewPassword): string | undefined {
  return isGenerated ? password : undefined;
}
