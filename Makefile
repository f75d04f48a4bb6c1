# Every door of the project. `make help` lists them; each works from any folder (`make -C`, `make -f`).

PYTHON ?= python3
ROOT := $(shell cd "$$(dirname "$(strip $(MAKEFILE_LIST))")" && pwd)
IN := cd "$(ROOT)" &&
PY := .venv/bin/python
# Checks need Django's settings but no server: those of a test run, with SQLite in memory.
OFFLINE := env -u TEST_DATABASE_URL -u TEST_REDIS_URL TEST_PROFILE=postgresql \
	DJANGO_SETTINGS_MODULE=config.settings_test $(PY)
PYTEST := pytest --numprocesses=auto --maxprocesses=8 --dist=worksteal

# $(call locked,base|dev|e2e): the packages of one lock file in .venv. The stamp names the lock file's content, so it is
# done again when that changes, and only then. A lock file is complete, so nothing is resolved (--no-deps): pip would
# look for the newest release of a package asked for with extras, and refuse it as unpinned the day one appears.
# Python is asked for directly: no script with a path in it is run.
locked = $(IN) stamp=".venv/.$(1)-$$(cksum < requirements/$(1).txt | tr ' ' '-')"; \
	if [ ! -f "$$stamp" ] || ! $(PY) -c "" 2> /dev/null; then \
		$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit(f"Python 3.11 or newer is needed, $(PYTHON) is {v[0]}.{v[1]}: make $@ PYTHON=/path/to/python3.11")' \
		&& { $(PY) -c "" 2> /dev/null || $(PYTHON) -m venv --clear .venv; } \
		&& $(PY) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/$(1).txt \
		&& touch "$$stamp"; \
	fi

# $(call lock,base|dev|e2e,ARGUMENTS): one hash-locked file, without any address of a package index in it.
lock = $(call lock_in,requirements,$(1),$(2))
lock_in = $(IN) cd $(1) && "$(ROOT)/$(PY)" -m uv pip compile --quiet --no-config --generate-hashes --universal \
	--python-version 3.11 --no-header --no-emit-index-url --no-emit-find-links $(3) $(2).in --output-file $(2).txt

CHROMIUM = $(shell command -v chromium || command -v chromium-browser || command -v google-chrome-stable || \
	command -v google-chrome)

# A production environment as an operator would give it, with secrets of this moment.
random = $$($(PY) -c 'import base64, secrets; print(base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())')
PRODUCTION := env APP_ENV=production PUBLIC_URL=https://auth.example.com ALLOWED_HOSTS=auth.example.com \
	SECRET_KEY="$(random)$(random)" ENCRYPTION_KEYS="$(random)" \
	DATABASE_URL=postgresql://authsvc:secret@db.example.com:5432/authsvc \
	REDIS_URL=redis://:secret@redis.example.com:6379/0 CELERY_BROKER_URL=redis://:secret@redis.example.com:6379/1 \
	EMAIL_URL=smtp://mail.example.com:587 DEFAULT_FROM_EMAIL=no-reply@auth.example.com

.PHONY: help install install-dev lock fmt run test check check-format check-lint check-types check-complexity \
	check-imports check-migrations check-messages check-schema check-deploy stack serve worker beat bench e2e \
	chromium load faults
.DEFAULT_GOAL := help

help: ## list what there is
	@sed -n 's/^\([a-z0-9 -]*\):.*## \(.*\)$$/\1|\2/p' "$(ROOT)/Makefile" | while IFS='|' read -r name text; do \
		printf '  make %-17s %s\n' "$$name" "$$text"; done

install: ## .venv with the locked requirements of the service
	@$(call locked,base)

install-dev: install ## and with those of the tests, the checks and the local stack
	@$(call locked,dev)

lock: install-dev ## write requirements/*.txt anew from requirements/*.in, and the peers' of `make bench`
	$(call lock,base,)
	$(call lock,dev,--constraints base.txt)
	$(call lock,e2e,--constraints dev.txt)
	$(call lock_in,deploy/bench/peers,dj-rest-auth,)
	$(call lock_in,deploy/bench/peers,djoser,)

fmt: install-dev ## format the code and repair what lint can repair
	$(IN) $(PY) -m ruff check --fix --quiet . ; $(PY) -m ruff format .

run: install ## the service on http://127.0.0.1:$PORT (8000): nothing else needed, state under var/
	@$(IN) exec env APP_ENV=embedded $(PY) manage.py serve

# Bytecode is kept, whatever the shell says: the dozens of processes of a run read the same modules.
test: export PYTHONDONTWRITEBYTECODE :=
test: install-dev ## the whole suite on PostgreSQL and Redis, at 90 % coverage; then on SQLite what runs on both
	$(IN) $(PY) -m coverage erase
	$(IN) $(PY) -m coverage run -m $(PYTEST)
	$(IN) TEST_PROFILE=embedded $(PY) -m $(PYTEST) -m both_databases
	$(IN) $(PY) -m coverage combine --quiet && $(PY) -m coverage xml --quiet --fail-under=0 && $(PY) -m coverage report

check: install-dev ## format, lint, types, contracts, migrations, catalogues, schema, deployment settings
check: check-format check-lint check-types check-complexity check-imports
check: check-migrations check-messages check-schema check-deploy

check-format: install-dev
	$(IN) $(PY) -m ruff format --check .

check-lint: install-dev
	$(IN) $(PY) -m ruff check .

check-types: install-dev
	$(IN) $(OFFLINE) -m mypy

check-complexity: install-dev
	$(IN) $(PY) -c 'from complexipy.cli import main; main()'

check-imports: install-dev
	$(IN) $(PY) -c 'from importlinter.cli import lint_imports_command; lint_imports_command(["--no-logo"])'

check-migrations: install-dev
	$(IN) $(OFFLINE) manage.py makemigrations --check --dry-run

check-messages: install-dev
	$(IN) $(OFFLINE) manage.py messages --check

check-schema: install-dev
	$(IN) schema=$$(mktemp) && trap 'rm -f "$$schema"' EXIT && \
		$(OFFLINE) manage.py spectacular --validate --fail-on-warn --file "$$schema" && \
		diff -u docs/openapi.yaml "$$schema"

check-deploy: install-dev
	$(IN) $(PRODUCTION) $(PY) manage.py check --deploy --fail-level WARNING

stack: install-dev ## the production shape on this machine: PostgreSQL, Redis, two web workers, worker, beat
	@$(IN) exec $(PY) -m deploy.stack

serve: ## one production web server, configured by the environment alone
	@$(IN) exec $(PY) manage.py serve

worker: ## one production Celery worker, likewise
	@$(IN) exec $(PY) manage.py worker

beat: ## one production Celery beat, likewise
	@$(IN) exec $(PY) manage.py beat

bench: install-dev ## neutrality, then rates beside other systems; ARGS="--growth --rounds 5 --only speed" (--help)
	@$(IN) exec $(PY) -m deploy.bench $(ARGS)

e2e: chromium install-dev ## every mailed link in a real browser; pictures of failures in var/e2e; needs Chromium
	@$(call locked,e2e)
	$(IN) E2E_BROWSER="$(CHROMIUM)" TEST_PROFILE=embedded $(PY) -m pytest tests/e2e $(ARGS)

chromium:
	@[ -n "$(CHROMIUM)" ] || { echo "make e2e needs Chromium or Chrome: apt install chromium"; exit 2; }

faults: install-dev ## kill the service at random moments, see that nothing is lost or half done; ARGS="--kills 50"
	@$(IN) exec $(PY) -m deploy.faults $(ARGS)

load: ## comes with a later part
	@echo "make $@ comes with a later part of the project; until then: make test, make check, make bench"; exit 2
