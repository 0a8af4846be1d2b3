BEGIN TRANSACTION;
CREATE TABLE counters (
	name VARCHAR(32) NOT NULL, 
	value BIGINT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "counters" VALUES('version',3);
INSERT INTO "counters" VALUES('seq',2);
CREATE TABLE events (
	timestamp_ms BIGINT NOT NULL, 
	"key" BIGINT NOT NULL, 
	seq BIGINT NOT NULL, 
	user INTEGER NOT NULL, 
	item INTEGER NOT NULL, 
	kind SMALLINT NOT NULL, 
	id VARCHAR(256), 
	value DOUBLE, 
	watch_ms BIGINT, 
	session_id TEXT, 
	slate_id TEXT, 
	position INTEGER, 
	propensity DOUBLE, 
	context TEXT, 
	PRIMARY KEY (timestamp_ms, "key")
)
 WITHOUT ROWID

;
INSERT INTO "events" VALUES(1000,-6671148737013502270,1,1,1,2,NULL,NULL,500,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "events" VALUES(2000,-2744560471352995937,0,0,0,1,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE facts (
	"key" VARCHAR(128) NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY ("key")
);
INSERT INTO "facts" VALUES('schema_version','1');
INSERT INTO "facts" VALUES('meta/media_root','"media"');
CREATE TABLE items (
	num INTEGER NOT NULL, 
	id VARCHAR(256) NOT NULL, 
	title TEXT, 
	description TEXT, 
	categories TEXT, 
	tags TEXT, 
	language TEXT, 
	published_at BIGINT, 
	duration_ms BIGINT, 
	media_path TEXT, 
	hidden BOOLEAN, 
	attributes TEXT, 
	source INTEGER, 
	PRIMARY KEY (num), 
	UNIQUE (id)
);
INSERT INTO "items" VALUES(0,'a','A',NULL,NULL,'["x"]',NULL,NULL,NULL,NULL,NULL,NULL,1);
INSERT INTO "items" VALUES(1,'b','B',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1);
CREATE TABLE rejects (
	num INTEGER NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	file VARCHAR(700) NOT NULL, 
	"row" BIGINT NOT NULL, 
	reason TEXT NOT NULL, 
	raw TEXT NOT NULL, 
	source INTEGER, 
	PRIMARY KEY (num), 
	UNIQUE (file, kind, "row")
);
INSERT INTO "rejects" VALUES(1,'clip','a.mp4',0,'no frames','',NULL);
CREATE TABLE sources (
	num INTEGER NOT NULL, 
	"key" VARCHAR(128) NOT NULL, 
	file TEXT NOT NULL, 
	next_row BIGINT NOT NULL, 
	position BIGINT NOT NULL, 
	done BOOLEAN NOT NULL, 
	rejected BIGINT NOT NULL, 
	curable BIGINT NOT NULL, 
	PRIMARY KEY (num), 
	UNIQUE ("key")
);
INSERT INTO "sources" VALUES(1,'k','items.csv',2,30,1,0,0);
CREATE TABLE users (
	num INTEGER NOT NULL, 
	id VARCHAR(256) NOT NULL, 
	attributes TEXT, 
	source INTEGER, 
	PRIMARY KEY (num), 
	UNIQUE (id)
);
INSERT INTO "users" VALUES(0,'u','{"age": 30}',NULL);
INSERT INTO "users" VALUES(1,'v',NULL,NULL);
CREATE UNIQUE INDEX events_by_id ON events (id) WHERE id IS NOT NULL;
COMMIT;
