CREATE INDEX planes_manufacturer_model ON planes (manufacturer, model);
CREATE INDEX planes_year ON planes (year);
