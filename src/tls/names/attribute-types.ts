/**
 * The attribute types of a distinguished name that have a name of their own: the object identifier,
 * the name we write, and other names that are understood. RFC 4514 §3 asks for the first nine; the
 * rest are what OpenSSL, eIDAS certificates (ETSI EN 319 412-1) and EV certificates use.
 */
const attributeTypes: readonly (readonly [id: string, name: string, ...aliases: string[]])[] = [
  ['2.5.4.3', 'CN', 'commonName'],
  ['2.5.4.7', 'L', 'localityName'],
  ['2.5.4.8', 'ST', 'stateOrProvinceName', 'S'],
  ['2.5.4.10', 'O', 'organizationName'],
  ['2.5.4.11', 'OU', 'organizationalUnitName'],
  ['2.5.4.6', 'C', 'countryName'],
  ['2.5.4.9', 'STREET', 'streetAddress'],
  ['0.9.2342.19200300.100.1.25', 'DC', 'domainComponent'],
  ['0.9.2342.19200300.100.1.1', 'UID', 'userId'],
  ['2.5.4.4', 'SN', 'surname'],
  ['2.5.4.5', 'serialNumber'],
  ['2.5.4.12', 'title', 'T'],
  ['2.5.4.13', 'description'],
  ['2.5.4.15', 'businessCategory'],
  ['2.5.4.17', 'postalCode'],
  ['2.5.4.20', 'telephoneNumber'],
  ['2.5.4.41', 'name'],
  ['2.5.4.42', 'GN', 'givenName', 'G'],
  ['2.5.4.43', 'initials'],
  ['2.5.4.44', 'generationQualifier'],
  ['2.5.4.45', 'x500UniqueIdentifier'],
  ['2.5.4.46', 'dnQualifier', 'DNQ'],
  ['2.5.4.65', 'pseudonym'],
  ['2.5.4.97', 'organizationIdentifier', 'OI'],
  ['1.2.840.113549.1.9.1', 'emailAddress', 'E', 'email'],
  ['1.2.840.113549.1.9.2', 'unstructuredName'],
  ['1.3.6.1.4.1.311.60.2.1.1', 'jurisdictionLocalityName', 'jurisdictionL'],
  ['1.3.6.1.4.1.311.60.2.1.2', 'jurisdictionStateOrProvinceName', 'jurisdictionST'],
  ['1.3.6.1.4.1.311.60.2.1.3', 'jurisdictionCountryName', 'jurisdictionC'],
];

const idByName = new Map(
  attributeTypes.flatMap(([id, ...names]) =>
    names.map((name) => [name.toLowerCase(), id] as const),
  ),
);
const nameById = new Map(attributeTypes.map(([id, name]) => [id, name]));

/** The dotted object identifier of a name such as `CN`, whatever its case. */
export function attributeTypeId(name: string): string | undefined {
  return idByName.get(name.toLowerCase());
}

/** The name to write for a dotted object identifier. */
export function attributeTypeName(id: string): string | undefined {
  return nameById.get(id);
}

/** Types whose values are IA5String by their definition (RFC 4519 §2.4, RFC 2985 §5.2.1). */
export const ia5AttributeTypes: ReadonlySet<string> = new Set([
  '0.9.2342.19200300.100.1.25',
  '1.2.840.113549.1.9.1',
]);
