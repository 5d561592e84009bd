// An OpenID Connect provider for the tests: whoever types a name is that account.
// Call: node provider.js PORT CLIENT_ID CLIENT_SECRET REDIRECT_URI
import Provider from 'oidc-provider';

const [port, clientId, clientSecret, redirectUri] = process.argv.slice(2);

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{ client_id: clientId, client_secret: clientSecret, redirect_uris: [redirectUri] }],
  pkce: { required: () => true },
  conformIdTokenClaims: false,
  claims: { openid: ['sub'], profile: ['preferred_username'], email: ['email', 'email_verified'] },
  findAccount: (_context, id) => ({
    accountId: id,
    claims: async () => ({
      sub: id,
      preferred_username: id.split('+')[0],
      email: `${id.split('+')[0]}@hospital.example`,
      email_verified: !id.includes('+unverified'),
    }),
  }),
  cookies: { keys: ['a key of the tests'] },
});

provider.listen(Number(port), '127.0.0.1', () => console.log('listening'));
