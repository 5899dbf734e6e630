#!/bin/sh
# A throw-away authority with one certificate for the proxy and one for each site, to try the composition.
# In production these come from the region's authority (IGC Santé). Usage: make-certificates.sh [FOLDER [HOST]]
set -eu
folder=${1:-certificates}
host=${2:-localhost}
umask 077
mkdir -p "$folder"
cd "$folder"

if [ ! -f authority.key ]; then
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -sha256 \
        -subj "/O=Trait d'Union/CN=Demonstration authority" -keyout authority.key -out authority.pem 2>/dev/null
fi

# issue NAME SUBJECT USAGE [SUBJECT-ALTERNATIVE-NAME]
issue() {
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "$2" -keyout "$1.key" -out "$1.csr" 2>/dev/null
    printf 'basicConstraints=CA:FALSE\nextendedKeyUsage=%s\n%s' "$3" "${4:+subjectAltName=$4
}" > "$1.ext"
    openssl x509 -req -in "$1.csr" -CA authority.pem -CAkey authority.key -CAcreateserial -days 365 -sha256 \
        -extfile "$1.ext" -out "$1.pem" 2>/dev/null
    rm -f "$1.csr" "$1.ext"
}

issue server "/O=Trait d'Union/CN=$host" serverAuth "DNS:$host"
for site in CHUSE GIER MONTBRISON FIRMINY FEURS ROANNE ANNONAY MFL IRMAS ICL SISRA; do
    issue "$site" "/O=Trait d'Union/OU=$site/CN=$site" clientAuth
done
issue OPERATIONS "/O=Trait d'Union/OU=REGION/CN=OPERATIONS" clientAuth
# The proxy's unprivileged user must read what it serves with; the folder itself is the secret.
chmod 0755 .
chmod 0644 ./*.pem server.key
echo "certificates are in $(pwd)"
