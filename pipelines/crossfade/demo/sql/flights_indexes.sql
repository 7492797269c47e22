-- Made after loading: the departures board, the search by flight number, the join with the weather.
CREATE INDEX flights_origin_time_hour ON flights (origin, time_hour);
CREATE INDEX flights_carrier_flight ON flights (carrier, flight);
CREATE INDEX weather_origin_time_hour ON weather (origin, time_hour);

ALTER TABLE flights ADD CONSTRAINT flights_carrier_fkey FOREIGN KEY (carrier) REFERENCES airlines (carrier);
ALTER TABLE flights ADD CONSTRAINT flights_origin_fkey FOREIGN KEY (origin) REFERENCES airports (faa);
