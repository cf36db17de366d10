BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('v3.2.0.a');
CREATE TABLE studies (
	study_id INTEGER NOT NULL, 
	study_name VARCHAR(512) NOT NULL, 
	PRIMARY KEY (study_id)
);
INSERT INTO "studies" VALUES(1,'boshnas');
CREATE TABLE study_directions (
	study_direction_id INTEGER NOT NULL, 
	direction VARCHAR(8) NOT NULL, 
	study_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	PRIMARY KEY (study_direction_id), 
	UNIQUE (study_id, objective), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_directions" VALUES(1,'MAXIMIZE',1,0);
CREATE TABLE study_system_attributes (
	study_system_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_system_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
CREATE TABLE study_user_attributes (
	study_user_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_user_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_user_attributes" VALUES(1,1,'schema_number','1');
INSERT INTO "study_user_attributes" VALUES(2,1,'identity','{"space": "flexibert_mini", "seed": 3, "nested": {"tasks": ["cola"]}}');
INSERT INTO "study_user_attributes" VALUES(3,1,'choices','{"num_layers": [2, 4], "operation_1": ["sa", "l", "c"], "hidden_3": [128, 256]}');
CREATE TABLE trial_heartbeats (
	trial_heartbeat_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	heartbeat DATETIME NOT NULL, 
	PRIMARY KEY (trial_heartbeat_id), 
	UNIQUE (trial_id), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_intermediate_values (
	trial_intermediate_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	intermediate_value FLOAT, 
	intermediate_value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_intermediate_value_id), 
	UNIQUE (trial_id, step), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_params (
	param_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	param_name VARCHAR(512), 
	param_value FLOAT, 
	distribution_json TEXT, 
	PRIMARY KEY (param_id), 
	UNIQUE (trial_id, param_name), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_params" VALUES(1,1,'operation_1',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["sa", "l", "c"]}}');
INSERT INTO "trial_params" VALUES(2,1,'num_layers',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [2, 4]}}');
INSERT INTO "trial_params" VALUES(3,3,'operation_1',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["sa", "l", "c"]}}');
INSERT INTO "trial_params" VALUES(4,3,'num_layers',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [2, 4]}}');
CREATE TABLE trial_system_attributes (
	trial_system_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_system_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_user_attributes (
	trial_user_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_user_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_user_attributes" VALUES(1,1,'architecture_id','"arch0"');
INSERT INTO "trial_user_attributes" VALUES(2,1,'decision','"optimise"');
INSERT INTO "trial_user_attributes" VALUES(3,1,'predicted_mean','0.30000000000000004');
INSERT INTO "trial_user_attributes" VALUES(4,1,'predicted_epistemic_std','1e-17');
INSERT INTO "trial_user_attributes" VALUES(5,1,'predicted_aleatoric_std','2.5');
INSERT INTO "trial_user_attributes" VALUES(6,1,'level','2');
INSERT INTO "trial_user_attributes" VALUES(7,1,'parent','"arch9"');
INSERT INTO "trial_user_attributes" VALUES(8,1,'seed','1099511627776');
INSERT INTO "trial_user_attributes" VALUES(9,1,'model_dict','{"l": 2, "o": ["sa", "l"], "h": [128, 256]}');
INSERT INTO "trial_user_attributes" VALUES(10,1,'status','"finished"');
INSERT INTO "trial_user_attributes" VALUES(11,2,'architecture_id','"arch1"');
INSERT INTO "trial_user_attributes" VALUES(12,2,'decision','"baseline"');
INSERT INTO "trial_user_attributes" VALUES(13,2,'predicted_mean','null');
INSERT INTO "trial_user_attributes" VALUES(14,2,'predicted_epistemic_std','null');
INSERT INTO "trial_user_attributes" VALUES(15,2,'predicted_aleatoric_std','null');
INSERT INTO "trial_user_attributes" VALUES(16,2,'level','0');
INSERT INTO "trial_user_attributes" VALUES(17,2,'parent','null');
INSERT INTO "trial_user_attributes" VALUES(18,2,'seed','1099511627776');
INSERT INTO "trial_user_attributes" VALUES(19,2,'model_dict','{"l": 2, "o": ["sa", "l"], "h": [128, 256]}');
INSERT INTO "trial_user_attributes" VALUES(20,2,'status','"out of memory"');
INSERT INTO "trial_user_attributes" VALUES(21,3,'architecture_id','"arch2"');
INSERT INTO "trial_user_attributes" VALUES(22,3,'decision','"optimise"');
INSERT INTO "trial_user_attributes" VALUES(23,3,'predicted_mean','0.30000000000000004');
INSERT INTO "trial_user_attributes" VALUES(24,3,'predicted_epistemic_std','1e-17');
INSERT INTO "trial_user_attributes" VALUES(25,3,'predicted_aleatoric_std','2.5');
INSERT INTO "trial_user_attributes" VALUES(26,3,'level','2');
INSERT INTO "trial_user_attributes" VALUES(27,3,'parent','"arch9"');
INSERT INTO "trial_user_attributes" VALUES(28,3,'seed','1099511627776');
INSERT INTO "trial_user_attributes" VALUES(29,3,'model_dict','{"l": 2, "o": ["sa", "l"], "h": [128, 256]}');
INSERT INTO "trial_user_attributes" VALUES(30,3,'status','"running"');
INSERT INTO "trial_user_attributes" VALUES(31,1,'task_scores','{"cola": 0.3333333333333333, "sst2": 90.0}');
INSERT INTO "trial_user_attributes" VALUES(32,1,'stage_seconds','{"pretrain": 12.5}');
INSERT INTO "trial_user_attributes" VALUES(33,1,'details','{"params": 4, "curve": [1.0, {"x": null}]}');
INSERT INTO "trial_user_attributes" VALUES(34,1,'error','null');
INSERT INTO "trial_user_attributes" VALUES(35,2,'task_scores','{}');
INSERT INTO "trial_user_attributes" VALUES(36,2,'stage_seconds','{}');
INSERT INTO "trial_user_attributes" VALUES(37,2,'details','{}');
INSERT INTO "trial_user_attributes" VALUES(38,2,'error','"one\ntwo"');
CREATE TABLE trial_values (
	trial_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	value FLOAT, 
	value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_value_id), 
	UNIQUE (trial_id, objective), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_values" VALUES(1,1,0,3.00000000000000044408e-01,'FINITE');
CREATE TABLE trials (
	trial_id INTEGER NOT NULL, 
	number INTEGER, 
	study_id INTEGER, 
	state VARCHAR(8) NOT NULL, 
	datetime_start DATETIME, 
	datetime_complete DATETIME, 
	PRIMARY KEY (trial_id), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "trials" VALUES(1,0,1,'COMPLETE','2026-11-22 12:53:29.087434','2026-11-22 12:53:29.129132');
INSERT INTO "trials" VALUES(2,1,1,'FAIL','2026-11-22 12:53:29.103203','2026-11-22 12:53:29.135771');
INSERT INTO "trials" VALUES(3,2,1,'RUNNING','2026-11-22 12:53:29.112812',NULL);
CREATE TABLE version_info (
	version_info_id INTEGER NOT NULL, 
	schema_version INTEGER, 
	library_version VARCHAR(256), 
	PRIMARY KEY (version_info_id), 
	CHECK (version_info_id=1)
);
INSERT INTO "version_info" VALUES(1,12,'5.0.0');
CREATE UNIQUE INDEX ix_studies_study_name ON studies (study_name);
CREATE INDEX ix_trials_study_id ON trials (study_id);
COMMIT;
