"""What everybody tries first. Facts of the public domain: the calendar, keyboards, and what people call a password."""


def _listed(text: str) -> list[str]:
    return text.split()


PASSWORDS = _listed("""
password passwords passwd passwort passwoerter kennwort contrasena contrasenya motdepasse parola senha wachtwoord
geheim geheimnis secret secreto clave login logon signin admin administrator administrador administrateur adminadmin
root toor sysadmin superuser poweruser user username benutzer usuario utilisateur guest gast invitado invite
test tester testing testuser temp temporary default changeme changeit changethis letmein letmeinnow opensesame
access accesso welcome willkommen bienvenido bienvenue bienvenida hello hallo hola bonjour iloveyou ichliebedich
tequiero teamo jetaime trustno1 whatever nothing dontknow forgot forgotten nopassword mypassword yourpassword
thepassword newpassword oldpassword mypass mysecret
qwerty qwertz azerty keyboard computer laptop internet server database master
company office work business enterprise security account sample example demo
""")
CALENDAR = _listed("""
spring summer autumn winter fruehling fruhling sommer herbst primavera verano otono invierno printemps automne hiver
january february march april june july august september october november december
januar februar maerz marz april juni juli august september oktober november dezember
enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre
janvier fevrier mars avril juin juillet aout septembre octobre novembre decembre
monday tuesday wednesday thursday friday saturday sunday
montag dienstag mittwoch donnerstag freitag samstag sonntag
lunes martes miercoles jueves viernes sabado domingo
lundi mardi mercredi jeudi vendredi samedi dimanche
christmas weihnachten navidad noel easter ostern
""")
PRODUCT = _listed("""
authsvc authservice authentication auth0
""")
OTHER_SCRIPTS = (
    "\u043f\u0430\u0440\u043e\u043b\u044c",
    "\u0439\u0446\u0443\u043a\u0435\u043d",
)
# What stands in every list of "long" passwords, without its spaces.
PHRASES = _listed("""
correcthorsebatterystaple thequickbrownfox thequickbrownfoxjumps
thequickbrownfoxjumpsoverthelazydog
jumpsoverthelazydog loremipsum loremipsumdolor loremipsumdolorsitamet
tobeornottobe tobeornottobethatisthequestion maytheforcebewithyou
iloveyouforever iloveyousomuch iloveyoubaby iloveyoumore iloveyoutoo ilovemyself ilovemymom ilovemyfamily
ilovejesus ilovemusic ilovefootball jesusismylord jesuslovesme godisgood godisgreat ingodwetrust godblessyou
nevergonnagiveyouup winteriscoming helloworld goodmorning goodnight happybirthday merrychristmas happynewyear
thisismypassword thisisapassword thisisasecret thisisnotapassword ihateyou ihatepasswords ihatethis ihatemylife
letmeinplease pleaseletmein openthedoor opensesame abracadabra supercalifragilisticexpialidocious
onceuponatime theendisnear carpediem hakunamatata liveandletdie livelaughlove
manchesterunited realmadrid barcelona bayernmunchen bayernmuenchen liverpoolfc chelseafc
allyouneedislove dontworrybehappy keepcalmandcarryon whatsupdoc elementarymydearwatson
houstonwehaveaproblem illbeback iamyourfather lukeiamyourfather beammeupscotty livelongandprosper
onetwothree onetwothreefour unodostrescuatro einszweidrei undeuxtrois
ninjaturtles harrypotter lordoftherings spongebob spiderman captainamerica ironman gameofthrones
doesthepasswordmatter nobodyknows youshallnotpass winnerwinnerchickendinner
""")
_FAVOURITES = _listed("""
Password Passwort Welcome Willkommen Summer Sommer Winter Spring January September Oktober Diciembre Monday Admin
Administrator Qwerty Letmein Iloveyou Dragon Monkey Football Baseball Sunshine Princess Butterfly Liverpool Chelsea
Barcelona Michael Jennifer Charlie Jordan Company Changeme Secret Internet Computer Superman Batman Pokemon Authsvc
""")
_ENDINGS = _listed(
    "1234! 12345! 123456 12345678 123!@# @12345 2024! 2025! 2026! 2026!! @2026 #2026 _2026! 1990!! 0101! 1! 01!"
)
_LEET = str.maketrans("aeios", "@310$")


def weak() -> dict[str, list[str]]:
    """Return what people do to a word to make it a password, by kind."""
    ended = [f"{word}{ending}" for word in _FAVOURITES for ending in _ENDINGS]
    return {
        "a word, then digits, a year, a sign": ended,
        "the same with digits and signs for letters": [password.translate(_LEET) for password in ended],
        "the same in capitals": [password.upper() for password in ended],
        "the same backwards": [password[::-1] for password in ended],
        "the word twice": [f"{word}{word}1!" for word in _FAVOURITES],
        "walks over the keyboard and the alphabet": _WALKS,
        "repetitions": _REPETITIONS,
        "sayings": [
            *PHRASES,
            *(f"{phrase.capitalize()}1!" for phrase in PHRASES),
        ],
        "with separators": _SEPARATED,
    }


_WALKS = _listed("""
qwertyuiop12 qwertyuiop123! Qwertyuiop1! 1qaz2wsx3edc !QAZ2wsx#EDC 1qaz@WSX3edc zaq12wsxCDE# 1q2w3e4r5t6y Qwer1234!@#$
asdfghjkl123 Asdfghjkl1! zxcvbnm12345 qazwsxedcrfv QazWsxEdc123! 123qweasdzxc 1234qwerasdf abcdefghijkl Abcdefgh123!
abcd1234efgh Abcd1234!@#$ 123456789012 1234567890-= 0987654321qw qwertz123456 azertyuiop123 987654321abc Qwerty!@#123
a1b2c3d4e5f6 1a2b3c4d5e6f q1w2e3r4t5y6 poiuytrewq12 lkjhgfdsa123 mnbvcxz12345 Qweasdzxc123!
""")
_REPETITIONS = _listed("""
aaaaaaaaaaaa 111111111111 121212121212 123123123123 abcabcabcabc abc123abc123 Abc123Abc123! passpasspass
passwordpassword Password1Password1 qwertyqwerty Qwerty12Qwerty12
testtesttest Ab1!Ab1!Ab1! aaaabbbbcccc 112233445566 aabbccddeeff
000000000001 !!!!!!!!!!!! letmeinletmein adminadminadmin 20242024202420242024 monkeymonkeymonkey
""")
_SEPARATED = _listed("""
P-a-s-s-w-o-r-d-1 p.a.s.s.w.o.r.d P_a_s_s_w_o_r_d! Pass-word-2026! Wel.come.2026! l-e-t-m-e-i-n-1!
1-2-3-4-5-6-7-8 a-d-m-i-n-1-2-3-4 My-Password-123! My_Password_2026 Admin_Password_1! Password-is-password1
Summer_2026_Winter! admin.password.1 Welcome-Admin-1 password.password login-password-123
""")
